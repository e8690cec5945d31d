"""Receipts as a bad receiver tells them: twice, about another record, not at all, out of order."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.sandbox.misbehaviour import Misbehaviour
from pipelines.sandbox.store import IssuedReceipt

NOBODY = "f" * 64


def spoil(lines: Sequence[IssuedReceipt], misbehaviour: Misbehaviour) -> list[IssuedReceipt]:
    """The receipts of a package, spoiled as asked; what is stored stays right.

    ``lost_receipt`` leaves the first one out, ``wrong_receipt`` gives the last one for a record that nobody sent,
    ``duplicate_receipt`` says all of it twice, ``shuffled_receipts`` turns the order round.
    """
    told = list(lines)
    if told and misbehaviour.takes("lost_receipt"):
        told = told[1:]
    if told and misbehaviour.takes("wrong_receipt"):
        told[-1] = _of_nobody(told[-1])
    if told and misbehaviour.takes("duplicate_receipt"):
        told *= 2
    if told and misbehaviour.takes("shuffled_receipts"):
        told.reverse()
    return told


def _of_nobody(line: IssuedReceipt) -> IssuedReceipt:
    return IssuedReceipt(
        package_id=line.package_id,
        position=line.position,
        record_id=NOBODY,
        idempotency_key=NOBODY,
        result=line.result,
        rule_code=line.rule_code,
        field=line.field,
        message=line.message,
        upper_id=line.upper_id,
    )
