"""The addresses that connections are reached at: `poll://uni@group/pid`, `poll://any@group`, `poll://any@group/pid`.

Law 1: an address that this reads back names what it was made from; any other text is an address of no connection.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from attrs import frozen

_SCHEME: Final = "poll://"


@frozen
class Address:
    """Who is reached: member `pid` of `group`, or any member if `anyone`: the one named first, where one is."""

    group: str
    pid: str | None = None
    anyone: bool = False


def unicast(group: str, pid: str) -> str:
    """Return the address of exactly this member."""
    return f"{_SCHEME}uni@{group}/{pid}"


def anycast(group: str) -> str:
    """Return the address of any member of the group."""
    return f"{_SCHEME}any@{group}"


def preferring(group: str, pid: str) -> str:
    """Return the address of any member of the group, this one while it is connected."""
    return f"{_SCHEME}any@{group}/{pid}"


@lru_cache(maxsize=1_024)
def parse(text: str) -> Address | None:
    """Read an address; None if it is of another scheme, or reaches no connection whoever connects."""
    kind, at, rest = text.removeprefix(_SCHEME).partition("@")
    group, _, pid = rest.partition("/")
    if not text.startswith(_SCHEME) or not at or not group:
        return None
    match kind:
        case "any":
            return Address(group, pid or None, anyone=True)
        case "uni" if pid:
            return Address(group, pid)
        case _:
            return None
