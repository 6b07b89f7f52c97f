"""zstd, if it is there: Python's own from 3.14 on, before that the same as the package backports.zstd."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

NAMES = ("compression.zstd", "backports.zstd")


@cache
def zstd() -> Any:
    """Return the module; None where there is none."""
    for name in NAMES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
