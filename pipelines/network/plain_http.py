"""Which addresses would carry records and secrets over the network for everybody on the way to read."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_readable_on_the_way(url: str) -> bool:
    """Whether an address is http and leaves this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_this_machine(parts.hostname or "")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
