"""What a person does to a proposed feed, as text: lines replaced, nothing else."""

from __future__ import annotations

from pathlib import Path


def replace_lines(path: Path, difference: str) -> None:
    """Apply a difference without context: each group of - lines becomes the + lines below it.

    A - line names the start of exactly one line of the file.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    old: list[str] = []
    new: list[str] = []
    for line in [*difference.splitlines(), "-"]:
        if line.startswith("-") and new:
            lines = _replaced(lines, old, new)
            old, new = [], []
        (old if line.startswith("-") else new).append(line[1:])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _replaced(lines: list[str], old: list[str], new: list[str]) -> list[str]:
    places = []
    for start in old:
        found = [number for number, line in enumerate(lines) if line.startswith(start)]
        assert len(found) == 1, f"{start!r} starts {len(found)} lines"
        places += found
    kept = [line if number not in places else None for number, line in enumerate(lines)]
    kept[places[0] : places[0] + 1] = new  # type: ignore[assignment]
    return [line for line in kept if line is not None]


def flat(output: str) -> str:
    """What was printed without the frames of tables and the breaks of lines."""
    return "".join("".join(character for character in output if character not in "│┃┏┓┗┛━─┌┐└┘┼┡╇┩┳┻┴┬╈ \n").split())
