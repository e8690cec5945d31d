"""Warnings about deadlines (``schemas/notices.yaml``): at which distance who is told, and over which channels."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field as Value
from pydantic import model_validator

from pipelines.catalogue.yaml_source import Document, Strict, parse

DEPARTMENT = "department"
WebhookFormat = Literal["json", "wecom", "dingtalk", "feishu"]


class Addressee(Strict):
    """Where somebody is told something.

    ``mail`` are addresses of offices. ``webhook_variable`` names the environment variable that holds the address of a
    group robot or a system: such addresses open themselves, so they are secrets. Without any of them the digests lie in
    ``var/notices`` only.
    """

    mail: tuple[str, ...] = ()
    webhook_variable: str | None = None
    webhook_format: WebhookFormat = "json"


class Office(Addressee):
    """Somebody beside the departments who is told about all of them."""

    name_zh: str = Value(min_length=1)


class Level(Strict):
    """One distance from the deadline: ``working_days_left`` after today, up to the deadline (0: due today).

    ``overdue`` stands for everything after it. ``to``: ``department``, or a code of ``offices``.
    """

    level: str = Value(min_length=1, max_length=20)
    name_zh: str = Value(min_length=1)
    working_days_left: int | None = Value(default=None, ge=0)
    overdue: bool = False
    to: tuple[str, ...] = Value(min_length=1)

    @model_validator(mode="after")
    def _one_distance(self) -> Self:
        if self.overdue == (self.working_days_left is not None):
            raise ValueError("a level has working_days_left, or overdue: true")
        return self


class MailServer(Strict):
    """The server that takes e-mail. With a ``user``, its password stands in the environment variable."""

    host: str
    port: int = Value(default=25, ge=1, le=65535)
    security: Literal["none", "starttls", "tls"] = "starttls"
    ca_file: str | None = None
    sender: str
    user: str | None = None
    password_variable: str | None = None
    timeout_seconds: float = Value(default=20.0, gt=0)


class Watchdog(Strict):
    """When the clock itself counts as dead: no heartbeat for so many minutes. ``to`` are codes of ``offices``."""

    minutes: int = Value(default=40, ge=1)
    to: tuple[str, ...] = Value(min_length=1)


class Notices(Strict):
    """Everything about warnings. ``levels`` from the farthest to the nearest, ``overdue`` last."""

    levels: tuple[Level, ...] = Value(min_length=1)
    offices: dict[str, Office] = Value(default_factory=dict)
    mail_server: MailServer | None = None
    watchdog: Watchdog

    def level_of(self, working_days_left: int | None) -> Level | None:
        """The nearest level that is reached; None for more time than any of them. ``None`` days left: overdue."""
        reached = None
        for level in self.levels:
            if level.overdue:
                is_reached = working_days_left is None
            else:
                is_reached = working_days_left is None or working_days_left <= (level.working_days_left or 0)
            reached = level if is_reached else reached
        return reached

    def rank(self, level: str) -> int:
        """How near a level is; a greater number is worse. -1 for one that is not in the file any more."""
        return next((place for place, one in enumerate(self.levels) if one.level == level), -1)


def load_notices(document: Document) -> Notices:
    """Parse and check; :class:`CatalogueError` with file and line for what cannot be."""
    notices = parse(document, Notices)
    names = [level.level for level in notices.levels]
    for place, level in enumerate(notices.levels):
        at = ("levels", place)
        if names.index(level.level) != place:
            raise document.error(f"two levels are called {level.level}", remedy="rename one of them", at=at)
        before = notices.levels[place - 1] if place else None
        if before is not None and (before.overdue or _left(level) >= _left(before)):
            raise document.error(
                f"the level {level.level} is not nearer than the one before it",
                remedy="order the levels from the farthest to the nearest, overdue last",
                at=at,
            )
        for code in level.to:
            if code != DEPARTMENT and code not in notices.offices:
                raise document.error(f"there is no office {code}", remedy="add it to offices", at=(*at, "to"))
    for code in notices.watchdog.to:
        if code not in notices.offices:
            raise document.error(f"there is no office {code}", remedy="add it to offices", at=("watchdog", "to"))
    told = [*notices.offices.values()]
    if notices.mail_server is None and any(office.mail for office in told):
        raise document.error("there is nobody to take e-mail", remedy="describe mail_server", at=("offices",))
    return notices


def _left(level: Level) -> int:
    return -1 if level.overdue else (level.working_days_left or 0)
