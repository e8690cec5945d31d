"""One file written to an SFTP server as a whole, checked before anybody relies on it."""

from __future__ import annotations

from pipelines.network.sftp_client import NamesAsBytes
from pipelines.network.time_limit import cut_after

# The block that every server must be able to take at once, and as many as fill a line with a long way to go.
_BLOCK = 32 << 10
_WINDOW = 64 * _BLOCK


class IncompleteError(Exception):
    """The server took the bytes and has fewer or more of them."""

    def __init__(self, wanted: int, found: int | None) -> None:
        super().__init__(f"of {wanted} bytes that were written the server has {found}")


def upload(client: NamesAsBytes, path: bytes, content: bytes, seconds: float) -> None:
    """Write ``content`` to ``path``, replacing what lies there; it is on the server's disk afterwards.

    Each window of bytes has ``seconds``. Raises :class:`StatusError`, :class:`IncompleteError` and what a broken
    connection raises.
    """
    with cut_after(seconds, client.descriptor):
        handle = client.new_file(path)
    for start in range(0, len(content), _WINDOW):
        window = content[start : start + _WINDOW]
        blocks = ((start + at, window[at : at + _BLOCK]) for at in range(0, len(window), _BLOCK))
        with cut_after(seconds, client.descriptor):
            client.write_blocks(handle, blocks)
    with cut_after(seconds, client.descriptor):
        client.bring_to_disk(handle)
        client.close_file(handle)
        found = client.stat(path).st_size
    if found != len(content):
        raise IncompleteError(len(content), found)
