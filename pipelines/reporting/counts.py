"""Figures that add up: counts, and ratios that keep their numerator and denominator."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Ratio:
    """A share that can be recomputed: both numbers are kept."""

    numerator: int
    denominator: int

    @property
    def text(self) -> str:
        """Per cent with two decimals; ``—`` without a denominator.

        Rounding never claims perfection: 100.00 % and 0.00 % appear only when they are exactly true.
        """
        if self.denominator == 0:
            return "—"
        hundredths = (self.numerator * 20_000 + self.denominator) // (2 * self.denominator)
        if self.numerator < self.denominator:
            hundredths = min(hundredths, 9_999)
        if self.numerator > 0:
            hundredths = max(hundredths, 1)
        return f"{hundredths // 100}.{hundredths % 100:02d} %"


@dataclass(frozen=True)
class Counts:
    """Counts of one batch or the sum of several.

    Rows: ``rows_decoded`` … ``excluded`` (undecoded lines are part of ``quarantined``). Accepted rows by what they
    change: ``new`` … ``outdated``. ``timed``: records stored anew by any published run of the batch, because most of
    them are there already when it is run again; ``late``: those of them whose deadline lay before the business date.
    Deliveries are counted per record version and endpoint: ``owed``, of these ``sent``, ``confirmed`` (accepted by
    the receiver), ``rejected``, ``withheld``, ``waiting`` (no answer yet) and ``overdue`` (not confirmed although the
    deadline lay before the business date).
    """

    rows_decoded: int = 0
    lines_undecoded: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    blocked: int = 0
    excluded: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    outdated: int = 0
    timed: int = 0
    late: int = 0
    repairs: int = 0
    owed: int = 0
    sent: int = 0
    confirmed: int = 0
    rejected: int = 0
    withheld: int = 0
    waiting: int = 0
    overdue: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Counts)})

    @property
    def received(self) -> int:
        """归集量: rows decoded and lines that could not be decoded."""
        return self.rows_decoded + self.lines_undecoded

    @property
    def reportable(self) -> int:
        """Rows that should have become records: neither declared not reportable nor said twice."""
        return self.received - self.excluded - self.duplicate

    @property
    def compliance(self) -> Ratio:
        """合规率: accepted of the reportable rows (domain reference 5.3: cleaned and stored ÷ reported)."""
        return Ratio(self.accepted, self.reportable)

    @property
    def duplication(self) -> Ratio:
        """重复率: rows said twice of those not declared not reportable."""
        return Ratio(self.duplicate, self.received - self.excluded)

    @property
    def lateness(self) -> Ratio:
        """迟报率: records stored after their deadline of all stored anew (domain reference 5.3)."""
        return Ratio(self.late, self.timed)

    @property
    def confirmation(self) -> Ratio:
        """Deliveries the receivers have confirmed of those owed."""
        return Ratio(self.confirmed, self.owed)

    @property
    def outcomes(self) -> dict[str, int]:
        """Outcome code → rows."""
        return {
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "quarantined": self.quarantined,
            "blocked": self.blocked,
            "excluded": self.excluded,
        }

    @property
    def is_conserved(self) -> bool:
        """Whether every row and line has exactly one outcome."""
        return self.received == sum(self.outcomes.values())

    @property
    def conservation(self) -> str:
        """The conservation law with this batch's numbers, in Chinese."""
        sign = "=" if self.is_conserved else "≠"
        return (
            f"解析 {self.rows_decoded} + 无法解析 {self.lines_undecoded} {sign} 入库 {self.accepted} + "
            f"重复 {self.duplicate} + 问题 {self.quarantined} + 拦截 {self.blocked} + 不报送 {self.excluded}"
        )
