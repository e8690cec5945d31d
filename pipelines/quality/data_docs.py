"""Data Docs: the pages that Great Expectations makes of its results, once a night and fit to be read offline."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import GuijiError, StorageError

_ELSEWHERE = re.compile(
    r"<script\b[^>]*\bsrc=[\"']https?:[^>]*>\s*</script>|<link\b[^>]*\bhref=[\"']https?:[^>]*>"
    r"|<img\b[^>]*\bsrc=[\"']https?:[^>]*>|<iframe\b.*?</iframe>|@import[^;]*https?:[^;]*;",
    re.IGNORECASE | re.DOTALL,
)
_SCRIPT = re.compile(r"<script\b.*?</script>", re.IGNORECASE | re.DOTALL)
_LINK = re.compile(r"<a\b[^>]*\bhref=[\"']https?:[^>]*>(.*?)</a>", re.IGNORECASE | re.DOTALL)
_REMOTE_STYLE = re.compile(r"url\(\s*[\"']?https?:[^)]*\)", re.IGNORECASE)
_FOOTER = re.compile(r"<footer\b.*?</footer>", re.IGNORECASE | re.DOTALL)
_STYLE = """<style>
body { font: 14px/1.5 "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; margin: 1.5rem; color: #1f2430; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { border: 1px solid #d7dbe2; padding: .3rem .6rem; text-align: left; vertical-align: top; }
.collapse { display: block; } nav ul, .nav { list-style: none; padding-left: 0; } .modal { display: none; }
.failed { color: #b3261e; } .succeeded { color: #1b6e3c; }
</style>"""


def build_data_docs(results: Mapping[str, Path], docs_folder: Path) -> Path:
    """Render one page per validation result and an index; returns the index.

    ``results`` maps a title (a feed and its date; it becomes the file name) to the file that
    :func:`~pipelines.quality.great_expectations_bridge.validate_with_great_expectations` wrote. Everything that
    the library's templates would fetch from elsewhere (style sheets, scripts, fonts, images) is left out; the pages
    hold counts, never values.
    """
    from pipelines.quality.great_expectations_engine import render_page  # noqa: PLC0415 - takes seconds to import

    entries = []
    for title, file in sorted(results.items()):
        result = _read(file)
        name = re.sub(r"[^\w.-]", "_", title) + ".html"
        _write(docs_folder / name, offline(render_page(result)))
        entries.append((title, name, result["statistics"]))
    index = docs_folder / "index.html"
    _write(index, _index(entries))
    return index


def offline(page: str) -> str:
    """A page without anything that a browser would fetch, and readable without scripts."""
    for unwanted in (_ELSEWHERE, _SCRIPT, _FOOTER):
        page = unwanted.sub("", page)
    page = _REMOTE_STYLE.sub("none", _LINK.sub(r"\1", page))
    return page.replace("</head>", f"{_STYLE}</head>", 1)


def _index(entries: list[tuple[str, str, dict[str, Any]]]) -> str:
    rows = "".join(
        f'<tr><td><a href="{html.escape(name)}">{html.escape(title)}</a></td>'
        f"<td>{statistics['evaluated_expectations']}</td>"
        f'<td class="{"failed" if statistics["unsuccessful_expectations"] else "succeeded"}">'
        f"{statistics['unsuccessful_expectations']}</td></tr>"
        for title, name, statistics in entries
    )
    return (
        f'<!DOCTYPE html><html lang="zh"><head><meta charset="UTF-8"><title>数据校验文档</title>{_STYLE}</head><body>'
        f"<h1>数据校验文档</h1><table><tr><th>批次</th><th>规则数</th><th>未通过规则数</th></tr>{rows}</table>"
        f"</body></html>"
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise GuijiError("no validation result", file=file, remedy="run the batch again") from error
    return loaded


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            "cannot be written", file=path, remedy="free disk space or mend permissions, then run again"
        ) from error
