"""``guiji doctor``: is this installation well, and what is to be done where it is not?"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import CatalogueError, GuijiError
from pipelines.operations import (
    doctor_clocks,
    doctor_endpoints,
    doctor_home,
    doctor_ledger,
    doctor_program,
    doctor_work,
)
from pipelines.operations.doctor_findings import MEND_THE_LEDGER, Check, Finding, NotLookedAtError, Patient

CHECKS: Mapping[str, Check] = {
    "python": doctor_program.check_python,
    "packages": doctor_program.check_packages,
    "schemas": doctor_program.check_schemas,
    "home": doctor_home.check_home,
    "modes": doctor_home.check_modes,
    "disk": doctor_home.check_disk,
    "file_system": doctor_home.check_file_system,
    "ledger": doctor_ledger.check_ledger,
    "integrity": doctor_ledger.check_integrity,
    "rights": doctor_ledger.check_rights,
    "chain": doctor_ledger.check_chain,
    "clocks": doctor_clocks.check_clocks,
    "time_zone": doctor_clocks.check_time_zone,
    "calendar": doctor_clocks.check_calendar,
    "watch": doctor_clocks.check_watch,
    "sources": doctor_endpoints.check_sources,
    "endpoints": doctor_endpoints.check_endpoints,
    "breakers": doctor_endpoints.check_breakers,
    "connections": doctor_endpoints.check_connections,
    "runs": doctor_work.check_runs,
    "locks": doctor_work.check_locks,
    "scratch": doctor_work.check_scratch,
}


def examine(patient: Patient, only: Collection[str] = ()) -> list[Finding]:
    """Every check, or those named, in their order; one that cannot be made is a problem and stops no other."""
    return [
        finding for name, check in CHECKS.items() if not only or name in only for finding in _made(name, check, patient)
    ]


def _made(name: str, check: Check, patient: Patient) -> list[Finding]:
    try:
        return check(patient)
    except CatalogueError as error:
        return [Finding(name, "problem", f"cannot be looked at: {error.place or 'schemas'} is wrong", error.remedy)]
    except NotLookedAtError as error:
        return [Finding(name, "warning", f"not looked at: {error.problem}", error.remedy)]
    except GuijiError as error:
        return [Finding(name, "problem", error.problem, error.remedy)]
    except SQLAlchemyError as error:
        return [Finding(name, "problem", f"the ledger failed ({type(error).__name__})", MEND_THE_LEDGER)]
    except OSError as error:
        found = f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}"
        return [Finding(name, "problem", found, "mend permissions or the disk, then look again")]
