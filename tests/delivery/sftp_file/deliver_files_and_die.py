"""Like ``deliver_and_die.py``, over SFTP: events are commits, answers to SFTP requests, and blocks of a file."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

sys.path.insert(0, str(Path(__file__).parent.parent))
import deliver_and_die
from deliver_and_die import Doom

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.deliver import deliver
from pipelines.errors import GuijiError
from pipelines.ledger.database import open_ledger
from pipelines.network.sftp_client import NamesAsBytes
from pipelines.settings import Settings

# Before the children are forked, because it takes longer than a delivery.
CATEGORIES = load_catalogue(Settings()).categories


def child(at: int, ledger_url: str, url: str, description: str, records: Path) -> int:
    doom = Doom(at)
    ledger = open_ledger(ledger_url)
    event.listen(ledger.engine, "commit", doom.strike)
    for name in ("_request", "write_blocks"):
        _doomed(name, doom)
    stored = pickle.loads(records.read_bytes())  # noqa: S301 - written by the test beside
    endpoint = Endpoint.model_validate_json(description)
    address, password = url.split()
    environment = {"GUIJI_CITY_FILES_URL": address, "GUIJI_CITY_FILES_PASSWORD": password}
    try:
        deliver(
            ledger,
            endpoint,
            open_adapter(endpoint, environment),
            CATEGORIES,
            lambda _category, keys: {key: stored[key] for key in keys},
        )
    except GuijiError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _doomed(name: str, doom: Doom) -> None:
    call = getattr(NamesAsBytes, name)

    def doomed(*arguments: Any) -> Any:
        answer = call(*arguments)
        doom.strike()
        return answer

    setattr(NamesAsBytes, name, doomed)


deliver_and_die.child = child

if __name__ == "__main__":
    deliver_and_die.main()
