"""Where a durable call was made: file name (no path) and line, for people who compare a history with the code."""

from __future__ import annotations

import sys
from types import FrameType

calling_frame = sys._getframe  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # inspect's way reads the source

_sites: dict[tuple[str, int], str] = {}  # as many as the program has lines with durable calls


def site(frame: FrameType) -> str:
    """Return where `frame` stands, as `shop.py:31`."""
    key = frame.f_code.co_filename, frame.f_lineno
    found = _sites.get(key)
    if found is None:
        found = _sites[key] = place(*key)
    return found


def place(path: str, line: int) -> str:
    """Return a line of a file, as `shop.py:31`."""
    name = path.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{line}"
