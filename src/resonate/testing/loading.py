"""Finds objects by the names that command lines give them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from resonate.errors import UsageError


def load(given: str, option: str, *, or_module: bool = False) -> Any:
    """Return the object that `module:name` stands for, looked for from the current folder on. Raise `UsageError`.

    The option's own name is the default. With `or_module`, the module itself is returned where neither is there.
    """
    module, _, name = given.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = _imported(module, f"{option} {given}")
        default = option.lstrip("-").rpartition("-")[2]
        if or_module and not name:
            return getattr(found, default, found)
        for part in (name or default).split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        text = f"{option} {given}: {error}."
        raise UsageError(text, hint=f"It is module:name, looked for from {here} on.") from error
    return found


def _imported(module: str, given: str) -> Any:
    try:
        return importlib.import_module(module)
    except (ImportError, ValueError):
        raise
    except Exception as error:
        text = f"{given}: importing {module} raised {type(error).__name__}: {error}."
        hint = 'What it does as a program belongs below `if __name__ == "__main__":`.'
        raise UsageError(text, hint=hint) from error
