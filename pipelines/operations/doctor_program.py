"""The doctor looks at the program: Python, packages, and what is configured for it."""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from pipelines.deadlines.policies import load_policies
from pipelines.errors import CatalogueError
from pipelines.operations.doctor_findings import Finding, Patient
from pipelines.quality.suite import load_batch_rules, load_gates, load_set_rules, load_suite
from pipelines.settings import PROJECT_ROOT

OLDEST_PYTHON = (3, 11)
LOCK = PROJECT_ROOT / "requirements.lock"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
MOST_NAMED = 5


def check_python(_patient: Patient) -> list[Finding]:
    found = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return [Finding("python", "problem", found, "install Python 3.11 or newer and run 'make install'")]
    return [Finding("python", "ok", found)]


def check_packages(_patient: Patient) -> list[Finding]:
    """What the program needs, then what the lock file names of what is installed."""
    unfit = []
    for text in requires("guiji") or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        have = _installed(needed.name)
        if have is None or not needed.specifier.contains(have, prereleases=True):
            unfit.append(f"{needed.name} {have or 'missing'} (needs {needed.specifier})")
    if unfit:
        return [Finding("packages", "problem", _named(unfit), "run 'make install', which installs the lock file")]
    if not LOCK.is_file():
        return [Finding("packages", "ok", "all that is needed is installed; there is no lock file to compare with")]
    pinned = _pinned(LOCK)
    other = [
        f"{name} {have} (lock: {wanted})"
        for name, wanted in pinned.items()
        if (have := _installed(name)) is not None and have != wanted
    ]
    if other:
        return [Finding("packages", "warning", f"not as tested: {_named(other)}", "run 'make install'")]
    return [Finding("packages", "ok", f"guiji {version('guiji')}; as the lock file has them")]


def check_schemas(patient: Patient) -> list[Finding]:
    """Everything below ``schemas/`` and ``expectations/``; one finding per feed that is broken."""
    try:
        catalogue = patient.catalogue
        load_policies(patient.settings, catalogue)
        for category in catalogue.categories.values():
            load_suite(patient.settings, category, catalogue.code_lists)
            load_set_rules(patient.settings, category)
        load_batch_rules(patient.settings)
        load_gates(patient.settings)
    except CatalogueError as error:
        return [Finding("schemas", "problem", f"{error.place}: {error.problem}", error.remedy)]
    broken = [
        Finding("schemas", "problem", f"feed {feed}: {error.place}: {error.problem}", error.remedy)
        for feed, error in sorted(catalogue.broken_feeds.items())
    ]
    found = (
        f"{len(catalogue.feeds)} feeds, {len(catalogue.categories)} categories, {len(catalogue.endpoints)} endpoints"
    )
    return [*broken, Finding("schemas", "ok", f"{found} loaded from {patient.settings.root}")]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _pinned(lock: Path) -> dict[str, str]:
    return dict(_PINNED.findall(lock.read_text(encoding="utf-8")))


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
