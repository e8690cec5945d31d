"""Feed files that are not installed yet: loaded as if they were, and written without ever replacing one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.catalogue.feeds import Department, Feed
from pipelines.catalogue.yaml_source import parse, read
from pipelines.errors import CatalogueError, StorageError
from pipelines.settings import Settings

DEPARTMENT_FILE = "department.yaml"


def installed_path(settings: Settings, department: str, name: str) -> Path:
    """Where the feed of a department has its file."""
    return settings.schemas / "departments" / department / f"{name}.yaml"


def load_feed_file(settings: Settings, path: Path) -> tuple[Catalogue, Feed]:
    """The feed in a file that may lie anywhere, and the catalogue as it would be with it.

    Its department is the one described beside it, otherwise the known one that its code starts with. Raises
    :class:`CatalogueError` with line when the file is wrong.
    """
    document = read(path)
    code = document.data.get("feed") if isinstance(document.data, dict) else None
    if not isinstance(code, str) or "_" not in code.strip("_"):
        raise document.error("feed is missing", remedy="say feed: <department>_<name>", at=("feed",))
    beside = path.parent / DEPARTMENT_FILE
    department = _department_of(settings, code, beside)
    if department is None:
        raise document.error(
            f"no known department fits the feed {code}",
            remedy="start its code with the code of a department, or put a department.yaml beside it",
            at=("feed",),
        )
    texts = {f"{code.removeprefix(department + '_')}.yaml": path.read_text(encoding="utf-8")}
    if beside.exists():
        texts[DEPARTMENT_FILE] = beside.read_text(encoding="utf-8")
    return load_feed_text(settings, department, code, texts, path)


def load_feed_text(
    settings: Settings, department: str, code: str, texts: dict[str, str], path: Path
) -> tuple[Catalogue, Feed]:
    """The feed and the catalogue as they would be if ``texts`` (file name → content) lay in the department's folder.

    What is wrong is said of ``path``.
    """
    with tempfile.TemporaryDirectory(prefix="guiji-feeds-") as scratch:
        shadow = Settings(root=Path(scratch))
        shutil.copytree(settings.schemas, shadow.schemas)
        folder = shadow.schemas / "departments" / department
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        try:
            catalogue = load_catalogue(shadow)
            return catalogue, catalogue.feed(code)
        except CatalogueError as error:
            if error.file is not None and Path(error.file).resolve().is_relative_to(folder.resolve()):
                written = path if Path(error.file).name != DEPARTMENT_FILE else path.parent / DEPARTMENT_FILE
                raise CatalogueError(error.problem, remedy=error.remedy, file=written, line=error.line) from error
            raise


def _department_of(settings: Settings, code: str, beside: Path) -> str | None:
    """The department that the code starts with, the longest name first."""
    known = {folder.parent.name for folder in (settings.schemas / "departments").glob(f"*/{DEPARTMENT_FILE}")}
    if beside.exists():
        known.add(parse(read(beside), Department).department)
    fitting = [name for name in known if code.startswith(f"{name}_")]
    return max(fitting, key=len, default=None)


def write_new(texts: dict[Path, str]) -> None:
    """Write files that must not exist yet, all or none; :class:`CatalogueError` when one does."""
    for path in texts:
        if path.exists():
            raise CatalogueError(
                "there is such a file already; nothing was written",
                remedy="name another one with --output or --name, or delete it first",
                file=path,
            )
    written: list[Path] = []
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as target:
                written.append(path)
                target.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise StorageError(
            f"the feed cannot be written: {error.strerror}", remedy="free disk space or mend permissions", file=path
        ) from error
