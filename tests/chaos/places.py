"""Every place in the product that makes something last, found by reading the product."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from pipelines.settings import PROJECT_ROOT

PRODUCT = PROJECT_ROOT / "pipelines"
# Of files: put in a place or taken away. ``replace`` with one argument that is no text is that of a path.
OF_FILES = frozenset(
    (
        "rename",
        "link",
        "unlink",
        "rmdir",
        "hardlink_to",
        "symlink_to",
        "rmtree",
        "copyfile",
        "copy2",
        "copytree",
        "move",
    )
)
OF_TABLES = frozenset(("create_write_transaction", "create"))

_ALONE = "all of its work is one transaction or one file put in its place: there is nothing in between to die at"
_DELIVERED = "tests/delivery/test_chaos.py kills in every protocol"
_BACKFILLED = "tests/operations/test_backfill_running.py kills it"
_RECEIVER = "the sandbox stands for a receiver, which is not ours"
_AGAIN = "before the batch is published: pulled again from the source, into a workspace that is emptied first"
_READ_AGAIN = "works in the folder of a run, which goes as a whole when its run is swept"
_PASSING = "works in a folder of the system's for temporary files, and nothing of it lasts"
_TOLD_AGAIN = "tests/operations/test_clock_watch.py: what was claimed and not told is told again"
_SAVED = "without the manifest, which is written last, a folder is no backup"
_BUILT_AGAIN = "built anew from the runs whenever it is asked for"

# Functions or modules that the steps of a world do not come to: where they are killed instead, or why nobody needs to.
ELSEWHERE = {
    "pipelines.delivery.packing:Packer.outgoing": _DELIVERED,
    "pipelines.delivery.sftp_file": _DELIVERED,
    "pipelines.delivery.sftp_folders": _DELIVERED,
    "pipelines.engine.macro_library": _ALONE,
    "pipelines.engine.drafts": "what it takes away nobody uses any more, and the next one takes the rest",
    "pipelines.intake.archive": _AGAIN,
    "pipelines.intake.archive_reading": _AGAIN,
    "pipelines.intake.connectors.database": _AGAIN,
    "pipelines.intake.connectors.file_days": _AGAIN,
    "pipelines.intake.connectors.file_settling": "asks the connector of the source, and that is where it dies",
    "pipelines.intake.connectors.folder:InboxFiles.remove_copy": "a copy at the source that is gone is not asked for",
    "pipelines.intake.connectors.http": _AGAIN,
    "pipelines.intake.connectors.sftp": _AGAIN,
    "pipelines.intake.connectors.sftp_transfer": "tests/intake/connectors: a transfer goes on where it was cut",
    "pipelines.intake.csv_mended:_write": _READ_AGAIN,
    "pipelines.intake.parquet_reader": _READ_AGAIN,
    "pipelines.intake.records_writer": _READ_AGAIN,
    "pipelines.operations.acceptance": _ALONE,
    "pipelines.operations.audit_files": _ALONE,
    "pipelines.operations.backfill_planning": _BACKFILLED,
    "pipelines.operations.backfill_plans": _BACKFILLED,
    "pipelines.operations.backfill_running": _BACKFILLED,
    "pipelines.operations.backup": _SAVED,
    "pipelines.operations.batch_preview": _PASSING,
    "pipelines.operations.bulletin": _BUILT_AGAIN,
    "pipelines.operations.channels": _TOLD_AGAIN,
    "pipelines.operations.check": _PASSING,
    "pipelines.operations.clock_watch": _TOLD_AGAIN,
    "pipelines.operations.doctor_home": "tries what the disk can do with a file of its own",
    "pipelines.operations.feed_files": _ALONE,
    "pipelines.operations.figures": _ALONE,
    "pipelines.operations.gate_decisions": _ALONE,
    "pipelines.operations.gate_learning": _ALONE,
    "pipelines.operations.housekeeping": "what it takes away nobody uses any more, and the next one takes the rest",
    "pipelines.operations.rehearsal": _PASSING,
    "pipelines.operations.resending": _ALONE,
    "pipelines.operations.restoring": "works beside the home, which appears as a whole at the end",
    "pipelines.operations.task_life": _ALONE,
    "pipelines.operations.waiver_granting": _ALONE,
    "pipelines.operations.waiving": _ALONE,
    "pipelines.operations.watchdog": _TOLD_AGAIN,
    "pipelines.operations.written_whole": _ALONE,
    "pipelines.quality.data_docs": _BUILT_AGAIN,
    "pipelines.records.consolidation:set_rejected_aside": _ALONE,
    "pipelines.records.run_table:RunTable.keep_only": _SAVED,
    "pipelines.records.store:RecordStore._note_keys": _ALONE,
    "pipelines.sandbox": _RECEIVER,
}


def places() -> set[str]:
    """Module and function of each, as ``pipelines.operations.publishing:_publish``."""
    return {place for path in sorted(PRODUCT.rglob("*.py")) for place in _of_module(path)}


def excuse(place: str) -> str | None:
    """The entry of :data:`ELSEWHERE` about a place, its module or a package that it is in."""
    module = place.partition(":")[0]
    packages = [".".join(module.split(".")[:length]) for length in range(2, module.count(".") + 2)]
    return next((known for known in (place, *packages) if known in ELSEWHERE), None)


def _of_module(path: Path) -> Iterator[str]:
    module = ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts).removesuffix(".__init__")
    for function, call in _calls(ast.parse(path.read_text("utf-8")), ()):
        if _lasts(call):
            yield f"{module}:{function}"


def _calls(node: ast.AST, inside: tuple[str, ...]) -> Iterator[tuple[str, ast.Call]]:
    """Every call below ``node`` with the qualified name of the function that it stands in."""
    for child in ast.iter_child_nodes(node):
        named = inside
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            named = (*inside, child.name)
        if isinstance(child, ast.Call):
            yield ".".join(inside), child
        yield from _calls(child, named)


def _lasts(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    name, owner = call.func.attr, ast.unparse(call.func.value)
    if name == "write":
        return owner.rpartition(".")[2].strip("_") == "ledger" and not call.args
    if name == "replace":
        return owner == "os" or (len(call.args) == 1 and not call.keywords)
    if name in OF_TABLES:
        return name != "create" or owner == "DeltaTable"
    return name in OF_FILES
