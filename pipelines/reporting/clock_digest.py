"""What a department or an office is told about deadlines, in Chinese: counts and what to do, no single record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WAITING_FOR = {
    "quarantine": "校验未通过，需贵单位更正后重新报送",
    "steward": "待数据专员核实，暂无需贵单位处理",
    "department": "接收方退回，需贵单位更正后重新报送",
    "upper": "不符合接收方受理条件，由归集平台与接收方协调",
    "receiver": "已由归集平台报送，等待接收方受理或恢复，暂无需贵单位处理",
    "us": "归集平台报送中，暂无需贵单位处理",
}


MENDED_BY_DEPARTMENT = ("department", "quarantine")


@dataclass(frozen=True)
class DigestLine:
    """Open records of one feed at one endpoint that are equally urgent. ``waiting_for`` is a key of ``WAITING_FOR``."""

    level: str
    level_zh: str
    department_zh: str
    feed_zh: str
    endpoint_zh: str
    earliest: date
    waiting_for: str
    records: int


@dataclass(frozen=True)
class Digest:
    """One message. ``body`` is plain text."""

    subject: str
    body: str
    records: int


def department_digest(name_zh: str, day: date, lines: Sequence[DigestLine]) -> Digest:
    """What one department is told: its own records, the most urgent first."""
    records = sum(line.records for line in lines)
    theirs = sum(line.records for line in lines if line.waiting_for in MENDED_BY_DEPARTMENT)
    parts = [
        f"{name_zh}：",
        "",
        f"截至{_day(day)}，贵单位有{records}条公共信用信息临近或超过报送时限（自作出决定之日起7个工作日内，"
        "法规另有规定的从其规定）：",
        "",
    ]
    for line in lines:
        parts.append(
            f"· {line.level_zh}：{line.feed_zh} → {line.endpoint_zh}，{line.records}条，"
            f"最早时限{line.earliest:%Y-%m-%d}；{WAITING_FOR[line.waiting_for]}。"
        )
    parts.append("")
    if theirs:
        parts.append(
            f"其中{theirs}条需贵单位处理，具体问题见当日问题清单工作簿；更正后请尽快重新报送，更正期间时限不中止。"
        )
    else:
        parts.append("上述信息目前均无需贵单位处理，特此告知。")
    subject = f"【时限预警】{name_zh}：{lines[0].level_zh}等{records}条（{day:%Y-%m-%d}）"
    return Digest(subject, "\n".join(parts), records)


def office_digest(name_zh: str, day: date, lines: Sequence[DigestLine]) -> Digest:
    """What an office is told: all departments, the most urgent first."""
    records = sum(line.records for line in lines)
    parts = [f"{name_zh}：", "", f"截至{_day(day)}，共有{records}条公共信用信息临近或超过报送时限：", ""]
    for department in dict.fromkeys(line.department_zh for line in lines):
        theirs = [line for line in lines if line.department_zh == department]
        parts.append(f"{department}（{sum(line.records for line in theirs)}条）")
        for line in theirs:
            parts.append(
                f"· {line.level_zh}：{line.feed_zh} → {line.endpoint_zh}，{line.records}条，"
                f"最早时限{line.earliest:%Y-%m-%d}；{_whose(line.waiting_for)}。"
            )
    return Digest(f"【时限预警】{lines[0].level_zh}等{records}条（{day:%Y-%m-%d}）", "\n".join(parts), records)


def stalled_digest(name_zh: str, day: date, problems: Sequence[str]) -> Digest:
    """What an office is told when the clock itself does not run."""
    parts = [
        f"{name_zh}：",
        "",
        "时限监测程序未正常运行，期间的超期预警可能没有发出，请立即联系系统运维人员处理：",
        "",
        *(f"· {problem}" for problem in problems),
    ]
    return Digest(f"【严重】时限监测中断（{day:%Y-%m-%d}）", "\n".join(parts), 0)


def _day(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _whose(waiting_for: str) -> str:
    whose = {
        "quarantine": "待部门更正",
        "steward": "待专员核实",
        "department": "待部门更正",
        "upper": "待与接收方协调",
        "receiver": "等待接收方",
        "us": "归集平台报送中",
    }
    return whose[waiting_for]
