"""How long a department has: the limits of ``schemas/calendars/policies.yaml``."""

from __future__ import annotations

from pydantic import Field

from pipelines.catalogue.yaml_source import Strict, parse, read
from pipelines.deadlines.arrangements import POLICIES_FILE
from pipelines.errors import CatalogueError
from pipelines.settings import Settings


class DeadlinePolicy(Strict):
    """A limit of ``working_days``, with the text it comes from.

    With ``count_start_day`` the day of the decision is day 1 if it is a working day; otherwise the first working day
    after the decision is.
    """

    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: str = Field(min_length=1)
    working_days: int = Field(ge=1, le=250)
    count_start_day: bool = Field(default=False, strict=True)
    source: str = Field(min_length=4)


class _PolicyFile(Strict):
    default: str
    policies: list[DeadlinePolicy] = Field(min_length=1)


def load_policy(settings: Settings, code: str | None = None) -> DeadlinePolicy:
    """The policy named ``code``, or the default one.

    Raises :class:`CatalogueError` with file and line for a file that cannot be, or a code that is not in it.
    """
    document = read(settings.schemas / "calendars" / POLICIES_FILE)
    file = parse(document, _PolicyFile)
    policies: dict[str, DeadlinePolicy] = {}
    for place, policy in enumerate(file.policies):
        if policy.code in policies:
            raise document.error(
                f"two policies are called {policy.code}", remedy="rename one of them", at=("policies", place, "code")
            )
        policies[policy.code] = policy
    known = ", ".join(sorted(policies))
    if file.default not in policies:
        raise document.error(f"there is no policy {file.default}", remedy=f"known policies: {known}", at=("default",))
    wanted = code or file.default
    if wanted not in policies:
        raise CatalogueError(f"there is no policy {wanted}", remedy=f"known policies: {known}", file=document.path)
    return policies[wanted]
