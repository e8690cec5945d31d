"""The page on which anyone can look at what the receiver holds; identity numbers and persons' names are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from pipelines.catalogue.categories import Category
from pipelines.sandbox.desk import Desk, Protocol
from pipelines.sandbox.judge import ACCEPTED, DUPLICATE, REJECTED
from pipelines.sandbox.misbehaviour import Kind, Misbehaviour
from pipelines.sandbox.rules import LEGAL
from pipelines.sandbox.store import HeldRecord, IssuedReceipt, ReceivedPackage

LATEST = 100
LATEST_PACKAGES = 20
BEIJING = ZoneInfo("Asia/Shanghai")
_TEMPLATES = Environment(loader=PackageLoader("pipelines.sandbox", ""), autoescape=True)

PROTOCOLS: Mapping[Protocol, str] = {
    "rest": "REST 接口",
    "xml_service": "Web 服务（XML）",
    "exchange_table": "前置库交换表",
    "sftp_file": "SFTP 文件",
}
REASONS = {"revoked": "依法撤销", "repaired": "信用修复", "expired": "公示期满", "error": "误报"}
BEHAVIOUR: Mapping[Kind, str] = {
    "slow": "应答缓慢",
    "busy": "繁忙，要求稍后再来",
    "fail_before": "处理之前出错",
    "fail_after": "处理之后出错",
    "cut": "应答中途断开连接",
    "lose_answer": "应答丢失",
    "processing": "总是处理中",
    "duplicate_receipt": "回执重复",
    "wrong_receipt": "回执张冠李戴",
    "lost_receipt": "回执丢失",
    "shuffled_receipts": "回执乱序",
    "partial_rejection": "无故退回部分数据",
    "wrong_clock": "时钟不准",
    "expired_certificate": "证书过期",
    "wrong_token": "不认令牌",
    "full_disk": "磁盘已满",
}


def render(desk: Desk) -> str:
    """The page as HTML, complete in itself: it loads nothing from anywhere."""
    with desk.sessions() as session:
        return _TEMPLATES.get_template("page.html.j2").render(
            packages=session.scalar(select(func.count()).select_from(ReceivedPackage)),
            records=session.scalar(select(func.count()).where(HeldRecord.withdrawn_at.is_(None))),
            behaviour=list(_behaviour(desk.misbehaviour)),
            categories=list(_totals(session, desk.categories)),
            withdrawn=list(_withdrawn(session)),
            protocols=list(_protocols(session)),
            latest_packages=list(_latest_packages(session, desk.categories)),
            refusals=list(_refusals(session)),
            latest=[
                _line(record, desk.categories)
                for record in session.scalars(select(HeldRecord).order_by(HeldRecord.id.desc()).limit(LATEST))
            ],
        )


def _behaviour(misbehaviour: Misbehaviour) -> Iterator[dict[str, object]]:
    for kind, ration in misbehaviour.plan().items():
        left = "一直" if ration.times is None else f"还有 {max(ration.times - ration.shown, 0)} 次"
        chance = "" if ration.chance >= 1 else f"，每次概率 {ration.chance:.0%}"
        yield {"name": BEHAVIOUR[kind], "kind": kind, "left": left + chance, "shown": ration.shown}


def _totals(session: Session, categories: Mapping[str, Category]) -> Iterator[dict[str, object]]:
    shown = HeldRecord.withdrawn_at.is_(None)
    totals = select(
        HeldRecord.category,
        func.sum(case((shown, 1), else_=0)),
        func.sum(func.min(HeldRecord.updates, 1)),
        func.sum(case((shown, 0), else_=1)),
        func.sum(case((HeldRecord.objection, 1), else_=0)),
    ).group_by(HeldRecord.category)
    for category, records, updated, withdrawn, objections in session.execute(totals):
        yield {
            "name": _name(categories, category),
            "records": records,
            "updated": updated,
            "withdrawn": withdrawn,
            "objections": objections,
        }


def _withdrawn(session: Session) -> Iterator[dict[str, object]]:
    reasons = (
        select(HeldRecord.withdrawn_reason, func.count())
        .where(HeldRecord.withdrawn_at.is_not(None))
        .group_by(HeldRecord.withdrawn_reason)
        .order_by(func.count().desc())
    )
    for reason, count in session.execute(reasons):
        yield {"reason": REASONS.get(reason or "", reason or "未说明"), "count": count}


def _protocols(session: Session) -> Iterator[dict[str, object]]:
    totals = select(
        ReceivedPackage.protocol,
        func.count(),
        func.sum(ReceivedPackage.received),
        func.max(ReceivedPackage.received_at),
    ).group_by(ReceivedPackage.protocol)
    found = {protocol: (packages, records, last) for protocol, packages, records, last in session.execute(totals)}
    for protocol, name in PROTOCOLS.items():
        packages, records, last = found.get(protocol, (0, 0, None))
        yield {"name": name, "packages": packages, "records": records, "last": _time(last) if last else "—"}


def _latest_packages(session: Session, categories: Mapping[str, Category]) -> Iterator[dict[str, object]]:
    query = select(ReceivedPackage).order_by(ReceivedPackage.received_at.desc(), ReceivedPackage.package_id)
    for package in session.scalars(query.limit(LATEST_PACKAGES)):
        results = select(IssuedReceipt.result, func.count().label("number")).where(
            IssuedReceipt.package_id == package.package_id
        )
        counts = {row.result: row.number for row in session.execute(results.group_by(IssuedReceipt.result))}
        yield {
            "at": _time(package.received_at),
            "protocol": PROTOCOLS.get(package.protocol, package.protocol),  # type: ignore[call-overload]
            "id": package.package_id[:12],
            "category": _name(categories, package.category),
            "records": package.received,
            "accepted": counts.get(ACCEPTED, 0),
            "duplicate": counts.get(DUPLICATE, 0),
            "rejected": counts.get(REJECTED, 0),
        }


def _refusals(session: Session) -> Iterator[dict[str, object]]:
    refused = (
        select(IssuedReceipt.rule_code, IssuedReceipt.field, func.count())
        .where(IssuedReceipt.result == REJECTED)
        .group_by(IssuedReceipt.rule_code, IssuedReceipt.field)
        .order_by(func.count().desc())
    )
    for rule, field, count in session.execute(refused):
        yield {"rule": rule, "field": field or "", "count": count}


def _time(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=UTC).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"


def _name(categories: Mapping[str, Category], category: str) -> str:
    return categories[category].name_zh if category in categories else category


def _line(record: HeldRecord, categories: Mapping[str, Category]) -> dict[str, object]:
    state = "公示中" if record.withdrawn_at is None else "已撤回"
    line: dict[str, object] = {
        "upper_id": record.upper_id,
        "category": _name(categories, record.category),
        "document": record.document_number,
        "updates": record.updates,
        "state": f"{state}，有异议" if record.objection else state,
    }
    if record.category in categories:
        roles = categories[record.category].roles
        name = record.subject_name
        line |= {
            "name": name if record.data.get(roles.subject_kind) == LEGAL else f"{name[:1]}**",
            "code": record.data.get(roles.subject_code) or "",
            "day": record.data.get(roles.decision_date) or "",
            "authority": record.data.get(roles.authority) or "",
        }
    return line
