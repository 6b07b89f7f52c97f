"""The functions of this process by name and function version.

Law 1: a (name, version) stands for one function, for good.
Law 2: registering is safe from any thread: each write is one `setdefault`, whose winner everyone sees. Who goes through
    a dictionary goes through a copy: while one is read, the garbage collector may run somebody's code, or let another
    thread run, anywhere but in `dict.copy`.
Law 3: a look-up that fails says what there is.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from types import MethodType
from typing import Any, Final, TypeAlias

from resonate.core.function import LAMBDA, Form, Function, FunctionKind, check_call, describe
from resonate.errors import FunctionNotRegistered, UsageError

__all__ = ["Form", "Function", "FunctionKind", "Registry", "check_call", "describe"]

SHOWN_NAMES: Final = 20

# Functions by the ids of what they consist of: the registry keeps these objects alive, so an id is not reused,
# and a callable need not be hashable. A bound method is made anew at each look-up; its two halves are not.
_Identity: TypeAlias = tuple[int, ...]


class Registry:
    """The functions of this process. Mutable; safe from any thread."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[int, Function]] = {}
        self._by_identity: dict[_Identity, dict[tuple[str, int], Function]] = {}

    def add(self, function: Function) -> Function:
        """Register `function` and return it; if it is registered already, return what was registered.

        Raise `UsageError` if its name and version stand for another function or for other options.
        """
        if function.name == LAMBDA and function.qualname.endswith("<lambda>"):
            message = f"the lambda at {function.source} has no name by which it could be found again."
            raise UsageError(message, hint="Give it a name: register(name=...), or write a def.")
        kept = self._by_name.setdefault(function.name, {}).setdefault(function.version, function)
        if kept is not function:
            _check_same(kept, function)
        key = (kept.name, kept.version)
        return self._by_identity.setdefault(_identity(kept.fn), {}).setdefault(key, kept)

    def get(self, name: str, version: int | None = None) -> Function:
        """Return the function of this name, the latest version when None. Raise `FunctionNotRegistered`."""
        versions = self._by_name.get(name)
        if not versions:
            raise self._unknown_name(name)
        function = versions.get(max(versions.copy()) if version is None else version)
        if function is None:
            raise _unknown_version(name, version, sorted(versions.copy()))
        return function

    def has(self, name: str, version: int | None = None) -> bool:
        """Say whether `get` finds one."""
        versions = self._by_name.get(name, {})
        return bool(versions) if version is None else version in versions

    def of(self, fn: Callable[..., Any], version: int | None = None) -> Function | None:
        """Return what `fn` is registered as, None if it is not.

        Where it is registered more than once, the latest version counts, and among equals the first.
        """
        found = self._by_identity.get(_identity(fn))
        if found is None:
            return None
        same = tuple(found.copy().values())
        if len(same) == 1 and version is None:
            return same[0]  # as nearly always; each durable call asks
        fitting = [function for function in same if version in (None, function.version)]
        return max(fitting, key=lambda function: function.version, default=None)

    def names(self) -> tuple[str, ...]:
        """Return the registered names, sorted."""
        return tuple(sorted(self._by_name.copy()))

    def functions(self) -> tuple[Function, ...]:
        """Return all that is registered, in the order of names and versions."""
        return tuple(
            versions[one] for _, versions in sorted(self._by_name.copy().items()) for one in sorted(versions.copy())
        )

    def _unknown_name(self, name: str) -> FunctionNotRegistered:
        known = self.names()
        close = difflib.get_close_matches(name, known, n=1)
        guess = f"Did you mean {close[0]!r}? " if close else "Register it before work for it arrives. "
        listed = ", ".join(self._with_versions(each) for each in known[:SHOWN_NAMES]) or "nothing"
        more = f" and {len(known) - SHOWN_NAMES} more" if len(known) > SHOWN_NAMES else ""
        message = f"no function is registered here as {name!r}."
        return FunctionNotRegistered(message, hint=f"{guess}Registered: {listed}{more}.")

    def _with_versions(self, name: str) -> str:
        versions = sorted(self._by_name[name].copy())
        return name if versions == [1] else f"{name} (versions {_listed(versions)})"


def _identity(fn: Callable[..., Any]) -> _Identity:
    return (id(fn.__self__), id(fn.__func__)) if isinstance(fn, MethodType) else (id(fn),)


def _check_same(kept: Function, offered: Function) -> None:
    what = f"{offered.name!r}, version {offered.version},"
    if _identity(kept.fn) != _identity(offered.fn):
        message = f"{what} is registered as {kept.qualname} ({kept.source}); it can't be {_place(offered)} too."
        raise UsageError(message, hint="Give one of them another name, or the newer one a higher version.")
    if (kept.retry, kept.timeout_ms, kept.tags) != (offered.retry, offered.timeout_ms, offered.tags):
        message = f"{what} is registered with other options ({_place(kept)})."
        raise UsageError(message, hint="Register it once, with the options that you want.")


def _place(function: Function) -> str:
    return f"{function.qualname} ({function.source})"


def _unknown_version(name: str, version: int | None, versions: list[int]) -> FunctionNotRegistered:
    message = f"{name!r} is not registered here in version {version}."
    return FunctionNotRegistered(
        message, hint=f"Register that version beside {_listed(versions)}; executions that began with it need it."
    )


def _listed(versions: list[int]) -> str:
    return ", ".join(map(str, versions))
