"""Where a durable call was made: file name (no path) and line, for people who compare a history with the code."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from weakref import WeakKeyDictionary

calling_frame = sys._getframe  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # inspect's way reads the source

_sites: WeakKeyDictionary[CodeType, dict[int, str]] = WeakKeyDictionary()


def site(frame: FrameType) -> str:
    """Return where `frame` stands, as `shop.py:31`."""
    code, line = frame.f_code, frame.f_lineno
    lines = _sites.get(code)
    if lines is None:
        lines = _sites[code] = {}
    found = lines.get(line)
    if found is None:
        name = code.co_filename.replace("\\", "/").rpartition("/")[2]
        found = lines[line] = f"{name}:{line}"
    return found
