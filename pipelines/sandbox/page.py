"""The page on which anyone can look at what the receiver holds; identity numbers and persons' names are left out."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipelines.catalogue.categories import Category
from pipelines.sandbox.judge import REJECTED
from pipelines.sandbox.rules import LEGAL
from pipelines.sandbox.store import HeldRecord, IssuedReceipt, ReceivedPackage

LATEST = 100
_TEMPLATES = Environment(loader=PackageLoader("pipelines.sandbox", ""), autoescape=True)


def render(session: Session, categories: Mapping[str, Category]) -> str:
    """The page as HTML, complete in itself: it loads nothing from anywhere."""
    held = select(HeldRecord.category, func.count(), func.sum(func.min(HeldRecord.updates, 1))).group_by(
        HeldRecord.category
    )
    refused = (
        select(IssuedReceipt.rule_code, IssuedReceipt.field, func.count())
        .where(IssuedReceipt.result == REJECTED)
        .group_by(IssuedReceipt.rule_code, IssuedReceipt.field)
        .order_by(func.count().desc())
    )
    latest = session.scalars(select(HeldRecord).order_by(HeldRecord.id.desc()).limit(LATEST))
    return _TEMPLATES.get_template("page.html.j2").render(
        packages=session.scalar(select(func.count()).select_from(ReceivedPackage)),
        records=session.scalar(select(func.count()).select_from(HeldRecord)),
        categories=[
            {"name": _name(categories, category), "records": records, "updated": updated}
            for category, records, updated in session.execute(held)
        ],
        refusals=[
            {"rule": rule, "field": field or "", "count": count} for rule, field, count in session.execute(refused)
        ],
        latest=[_line(record, categories) for record in latest],
    )


def _name(categories: Mapping[str, Category], category: str) -> str:
    return categories[category].name_zh if category in categories else category


def _line(record: HeldRecord, categories: Mapping[str, Category]) -> dict[str, object]:
    line: dict[str, object] = {
        "upper_id": record.upper_id,
        "category": _name(categories, record.category),
        "document": record.document_number,
        "updates": record.updates,
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
