"""Connectors: where extracts are pulled from. One module per kind of source, all with ``pull`` and ``settle``."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from pipelines.catalogue.feeds import Feed
from pipelines.intake.connectors.contract import Connector

_MODULES = {"folder", "sftp", "http", "database"}


def connector_of(feed: Feed) -> Connector:
    """The connector for the feed's kind of source, imported only when it is used."""
    kind = feed.source.kind
    if kind not in _MODULES:
        raise ValueError(f"no connector for {kind}")
    return cast("Connector", import_module(f"pipelines.intake.connectors.{kind}"))
