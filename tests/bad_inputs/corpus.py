"""Bad inputs, made on demand: each is one thing that a department has sent or could send.

``python -m tests.bad_inputs.corpus FOLDER`` writes them all, to be tried by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bad_inputs.bad_input import BadInput
from tests.bad_inputs.structured_files import structured_files
from tests.bad_inputs.text_files import text_files
from tests.bad_inputs.workbook_files import workbook_files

BAD_INPUTS: tuple[BadInput, ...] = (*text_files(), *workbook_files(), *structured_files())


def write_corpus(folder: Path) -> list[Path]:
    """Write every bad input to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for bad in BAD_INPUTS:
        path = folder / bad.name
        path.write_bytes(bad.content())
        written.append(path)
    return written


if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]))
