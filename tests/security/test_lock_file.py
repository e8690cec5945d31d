"""What is installed is what was chosen: every package is pinned, and known by its hashes."""

from __future__ import annotations

import re
import tomllib

from pipelines.settings import PROJECT_ROOT

PINNED = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==[^\s;]+(?: ?;[^\\]*)?(?: --hash=sha256:[0-9a-f]{64})+"
)


def locked() -> list[str]:
    """The requirements of the lock file, each in one line without comments."""
    text = (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n?", "", text)).splitlines()
    return [re.sub(r"\s+", " ", line).strip() for line in lines if line.strip()]


def test_every_package_is_pinned_with_hashes_and_comes_from_no_named_place() -> None:
    requirements = locked()
    assert len(requirements) > 100
    for requirement in requirements:
        assert PINNED.fullmatch(requirement), requirement


def test_everything_the_project_asks_for_is_locked() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for group in project["optional-dependencies"].values() for one in group)]
    names = {_canonical(found[1]) for line in locked() if (found := PINNED.fullmatch(line))}
    assert {_canonical(re.split(r"[\[<>=!~; ]", one)[0]) for one in asked} <= names


def test_the_install_insists_on_the_hashes() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--require-hashes --no-deps --requirement requirements.lock" in makefile


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
