"""Typed members of JSON objects, and JSON itself.

Law 1: a reader returns the member in its type or raises `Malformed`, which no public function lets out.
Law 2: `bool` is no integer, a float is no integer, and null is absent unless a reader says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

import orjson

from resonate.errors import UsageError

VERSION: Final = "2026-04-01"

Json: TypeAlias = dict[str, Any]

T = TypeVar("T")
StateT = TypeVar("StateT", bound=StrEnum)


class Malformed(Exception):
    """A member is missing or has the wrong type; `path` leads to it. A signal within this package."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(path, expected)
        self.path = path
        self.expected = expected

    def __str__(self) -> str:
        """Return what is wrong as a sentence."""
        return f"{self.path} must be {self.expected}"

    def under(self, name: str) -> Malformed:
        """Return the same, seen from the object that holds the member `name`."""
        return Malformed(f"{name}.{self.path}", self.expected)


def dumps(value: Json) -> bytes:
    """Write JSON. Raise `UsageError` for text that is not valid Unicode and integers beyond 64 bits."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise UsageError(
            f"this cannot be written as JSON: {error}",
            hint="Ids, tags and data must be valid Unicode, and integers must fit 64 bits.",
        ) from error


def text(data: Json, name: str) -> str:
    """Read a string."""
    value = data.get(name)
    if type(value) is str:
        return value
    raise Malformed(name, "a string")


def maybe_text(data: Json, name: str) -> str | None:
    """Read a string or nothing."""
    value = data.get(name)
    if value is None or type(value) is str:
        return value
    raise Malformed(name, "a string")


def integer(data: Json, name: str) -> int:
    """Read an integer."""
    value = data.get(name)
    if type(value) is int:
        return value
    raise Malformed(name, "an integer")


def maybe_integer(data: Json, name: str) -> int | None:
    """Read an integer or nothing."""
    value = data.get(name)
    if value is None or type(value) is int:
        return value
    raise Malformed(name, "an integer")


def maybe_flag(data: Json, name: str) -> bool:
    """Read true or false; nothing is false."""
    value = data.get(name)
    if value is None or type(value) is bool:
        return bool(value)
    raise Malformed(name, "true or false")


def state(data: Json, name: str, states: dict[str, StateT]) -> StateT:
    """Read one of some states."""
    value = data.get(name)
    known = states.get(value) if type(value) is str else None
    if known is not None:
        return known
    raise Malformed(name, f"one of {', '.join(states)}")


def maybe_state(data: Json, name: str, states: dict[str, StateT]) -> StateT | None:
    """Read one of some states or nothing."""
    return None if data.get(name) is None else state(data, name, states)


def present(data: Json, name: str) -> None:
    """Check that a member is there, whatever it is."""
    if name not in data:
        raise Malformed(name, "present")


def as_object(value: Any, name: str) -> Json:
    """Take a value that must be an object."""
    found: Json = value
    if type(found) is dict:
        return found
    raise Malformed(name, "an object")


def maybe_texts(data: Json, name: str) -> dict[str, str] | None:
    """Read an object of strings or nothing."""
    texts: dict[str, str] | None = data.get(name)
    if texts is None:
        return None
    if type(texts) is not dict:
        raise Malformed(name, "an object")
    for key, item in texts.items():
        if type(item) is not str:
            raise Malformed(f"{name}.{key}", "a string")
    return texts


def member(data: Json, name: str, read: Callable[[Json], T]) -> T:
    """Read an object by its own reader."""
    value: Json | None = data.get(name)
    if type(value) is not dict:
        raise Malformed(name, "an object")
    try:
        return read(value)
    except Malformed as malformed:
        raise malformed.under(name) from None


def members(data: Json, name: str, read: Callable[[Json], T]) -> tuple[T, ...]:
    """Read a list of objects by their own reader; nothing is no objects."""
    values: list[object] | None = data.get(name)
    if values is None:
        return ()
    if type(values) is not list:
        raise Malformed(name, "a list")
    return tuple(_items(values, name, read)) if values else ()


def _items(values: list[object], name: str, read: Callable[[Json], T]) -> Iterable[T]:
    for index, value in enumerate(values):
        item = as_object(value, f"{name}[{index}]")
        try:
            yield read(item)
        except Malformed as malformed:
            raise malformed.under(f"{name}[{index}]") from None
