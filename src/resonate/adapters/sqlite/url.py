"""`sqlite:///app.db` and its options, as a server."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from resonate.adapters.sqlite.file import Durability
from resonate.adapters.sqlite.server import SqliteServer
from resonate.errors import UsageError
from resonate.ports.clock import Clock

_EXAMPLE: Final = "Write sqlite:///app.db for a file in the working directory, sqlite:////var/lib/app.db for any other."


def from_url(url: str, clock: Clock | None = None) -> SqliteServer:
    """Return the server of a file that is named by a URL. Raise `UsageError` for one that names none.

    Options: `durability` (full, normal) and `lock_timeout` (seconds), as of `SqliteServer`.
    """
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or parts.fragment or not path or "\0" in path:
        raise UsageError(f"The URL {url} names no file.", hint=_EXAMPLE)
    if path == ":memory:":
        raise UsageError("SQLite in memory is not shared and not kept.", hint="Use memory:// instead.")
    durability, lock_timeout = Durability.FULL, 30.0
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        match name:
            case "durability":
                durability = _durability(text, url)
            case "lock_timeout":
                lock_timeout = _seconds(text, url)
            case _:
                raise UsageError(
                    f"The URL {url} has an unknown option {name!r}.", hint="Known: durability, lock_timeout."
                )
    return SqliteServer(path, durability=durability, lock_timeout=lock_timeout, clock=clock)


def _durability(text: str, url: str) -> Durability:
    try:
        return Durability(text)
    except ValueError:
        known = " or ".join(Durability)
        raise UsageError(f"durability is {known}, not {text!r}, in the URL {url}.") from None


def _seconds(text: str, url: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"lock_timeout is a number of seconds, not {text!r}, in the URL {url}.")
    return seconds
