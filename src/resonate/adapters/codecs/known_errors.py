"""Which exceptions come back as themselves: Python's own, this library's, and those that were registered.

Law 1: a name in the data is looked up in these tables and nowhere else; the modules that may be imported for it are
    those of the standard library that stand here.
Law 2: what steers the interpreter, or ends an attempt, is in none of them.
"""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from resonate import errors
from resonate.errors import ResonateError, UsageError

Name: TypeAlias = tuple[str, str]

_CONTROL: Final = (StopIteration, StopAsyncIteration)  # raised into a coroutine, these end up as another error
_OURS_TO_RAISE: Final = (  # an attempt's own end
    errors.LeaseLost,
    errors.NondeterminismError,
    errors.NotReadableHere,
    errors.EngineBug,
)

LIBRARY: Final = frozenset({
    "_csv", "_pickle", "_queue", "asyncio.exceptions", "asyncio.queues", "binascii", "concurrent.futures._base",
    "concurrent.futures.process", "concurrent.futures.thread", "configparser", "copy", "dataclasses", "decimal",
    "email.errors", "ftplib", "graphlib", "gzip", "http.client", "http.cookiejar", "http.cookies", "ipaddress",
    "json.decoder", "locale", "_lzma", "netrc", "plistlib", "poplib", "queue", "re", "re._constants", "shutil",
    "smtplib", "socket", "sqlite3", "ssl", "statistics", "struct", "subprocess", "tarfile", "tokenize",
    "tomllib", "tomllib._parser", "urllib.error", "xml.etree.ElementTree", "zipfile", "zlib", "zoneinfo._common",
})  # fmt: skip
"""Modules of the standard library that exceptions belong to, beside the built-in ones."""
_CLOSED: Final = LIBRARY | {"builtins", errors.__name__}
"""Modules whose classes come back as themselves, or never do."""


def _standard() -> dict[Name, type[Exception]]:
    found = {
        (cls.__module__, cls.__qualname__): cls
        for cls in vars(builtins).values()
        if isinstance(cls, type) and issubclass(cls, Exception) and not issubclass(cls, (*_CONTROL, ExceptionGroup))
    }
    return found | {
        (cls.__module__, cls.__qualname__): cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, ResonateError) and not issubclass(cls, _OURS_TO_RAISE)
    }


STANDARD: Final[Mapping[Name, type[Exception]]] = _standard()


class KnownErrors:
    """The tables of one codec."""

    def __init__(self) -> None:
        self._classes: dict[Name, type[Exception]] = dict(STANDARD)

    def register(self, cls: type[Exception]) -> None:
        """Let this class come back as itself."""
        given: Any = cls  # the types say so, the caller may not
        if not isinstance(given, type) or not issubclass(given, Exception):
            raise UsageError(f"{cls!r} is not an exception class.", hint="Register classes derived from Exception.")
        if issubclass(given, (*_CONTROL, *_OURS_TO_RAISE)):
            raise UsageError(f"{cls.__qualname__} steers what runs it and never comes back as itself.")
        self._classes[cls.__module__, cls.__qualname__] = cls

    def find(self, module: object, name: object) -> type[Exception] | None:
        """Return the class of this name, None if it is not to come back as itself."""
        if not isinstance(module, str) or not isinstance(name, str):
            return None
        found = self._classes.get((module, name))
        if found is None and module in LIBRARY:
            found = _of_library(module, name)
            if found is not None:
                self._classes[module, name] = found
        return found

    def may_register(self, module: object, name: object) -> bool:
        """Say whether this may be the name of a class that could be registered, and was not."""
        if not isinstance(module, str) or not isinstance(name, str):
            return False
        return module not in _CLOSED and (module, name) not in self._classes


def _of_library(module: str, name: str) -> type[Exception] | None:
    """Return an exception class of the standard library."""
    try:
        found: Any = getattr(importlib.import_module(module), name, None)
    except ImportError:  # this Python was built without it
        return None
    if not isinstance(found, type) or not issubclass(found, Exception) or issubclass(found, ResonateError):
        return None
    return found if (found.__module__, found.__qualname__) == (module, name) else None
