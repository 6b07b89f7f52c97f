"""Where a durable call was made: file name (no path) and line, for people who compare a history with the code."""

from __future__ import annotations

import sys
from types import FrameType

calling_frame = sys._getframe  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # inspect's way reads the source

_sites: dict[tuple[str, int], str] = {}  # as many as the program has lines with durable calls


def site(frame: FrameType) -> str:
    """Return where `frame` stands, as `shop.py:31`."""
    place = frame.f_code.co_filename, frame.f_lineno
    found = _sites.get(place)
    if found is None:
        path, line = place
        name = path.replace("\\", "/").rpartition("/")[2]
        found = _sites[place] = f"{name}:{line}"
    return found
