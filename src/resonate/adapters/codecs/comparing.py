"""Where two values differ: to find out whether what was written comes back, and if not, which part.

Law 1: values that are equal by `==` do not differ; neither do two NaNs, nor instances of a class without an `==` of its
    own whose parts do not differ.
Law 2: identical values are equal and of the same class, to the last part that is written.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeGuard

import attrs

from resonate.adapters.codecs.plan import class_of

_DEEPEST = 200
_SCALARS: Final[frozenset[type]] = frozenset({type(None), bool, int, float, str, bytes})


def difference(one: Any, other: Any) -> str | None:
    """Return the path to where two values differ (`.items[3].price`, empty for the whole), None if they do not."""
    return _difference(one, other, _DEEPEST)


def _difference(one: Any, other: Any, depth: int) -> str | None:
    if one is other or not depth or _equal(one, other):
        return None
    if type(one) is not type(other):
        return ""
    if _is_row(one):
        return "" if len(one) != len(other) else _in_row(one, other, depth)
    if _is_mapping(one):
        return "" if one.keys() != other.keys() else _in_mapping(one, other, depth)
    return None if _are_nan(one, other) else _in_parts(one, other, depth)


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - a user's __eq__ raises what it likes
        return False


def _are_nan(one: Any, other: Any) -> bool:
    return isinstance(one, float | Decimal) and one != one and other != other  # noqa: PLR0124 - it differs from itself


def _in_row(one: Sequence[Any], other: Sequence[Any], depth: int) -> str | None:
    for index, (left, right) in enumerate(zip(one, other, strict=True)):
        found = _difference(left, right, depth - 1)
        if found is not None:
            return f"[{index}]{found}"
    return None


def _in_mapping(one: Mapping[Any, Any], other: Mapping[Any, Any], depth: int) -> str | None:
    for key, left in one.items():
        found = _difference(left, other[key], depth - 1)
        if found is not None:
            return f".{key}{found}" if isinstance(key, str) and key.isidentifier() else f"[{key!r:.60}]{found}"
    return None


def _in_parts(one: Any, other: Any, depth: int) -> str | None:
    names = _compared(one)
    if names is None:
        return ""
    missing = object()
    for name in names:
        found = _difference(getattr(one, name, missing), getattr(other, name, missing), depth - 1)
        if found is not None:
            return f".{name}{found}"
    return None


def _compared(value: Any) -> Sequence[str] | None:
    """Return the parts by which instances are compared, None where only the class itself knows."""
    cls: Any = class_of(value)
    if attrs.has(cls):
        return [each.name for each in attrs.fields(cls) if each.eq or not _has_eq(cls)]
    if dataclasses.is_dataclass(cls):
        return [each.name for each in dataclasses.fields(cls) if each.compare]
    if hasattr(cls, "__struct_fields__"):  # msgspec's
        fields: tuple[str, ...] = cls.__struct_fields__
        return fields
    attributes: dict[str, Any] = getattr(value, "__dict__", {})
    if hasattr(cls, "__pydantic_fields__"):
        return [*attributes, "__pydantic_extra__", "__pydantic_private__"]
    return list(attributes) if attributes and not _has_eq(cls) else None


def identical(one: Any, other: Any) -> bool:
    """Say whether two values are equal, and of the same class to the last part: 1, 1.0 and True are three values."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if _is_row(one):
        return len(one) == len(other) and (_are_scalars(one, other) or all(map(identical, one, other)))
    if _is_set(one):
        return len(one) == len(other) and _has_identical(other, one)
    if _is_mapping(one):
        return (
            len(one) == len(other)
            and _has_identical(other, one)
            and all(identical(item, other[key]) for key, item in one.items())
        )
    names = _written(class_of(one))
    if names is None:
        return _equal(one, other) or _are_nan(one, other)
    missing = object()
    return all(identical(getattr(one, name, missing), getattr(other, name, missing)) for name in names)


def _are_scalars(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether these are equal scalars of the same classes. The loops run in C."""
    kinds: list[type] = list(map(type, one))
    return _SCALARS.issuperset(kinds) and kinds == list(map(type, other)) and one == other


def _has_identical(keys: Iterable[Any], wanted: Iterable[Any]) -> bool:
    found = {key: key for key in keys}
    return all(key in found and identical(key, found[key]) for key in wanted)


@functools.lru_cache
def _written(cls: Any) -> Sequence[str] | None:
    """Return the parts that are written of an instance of a class, None where only the class itself knows."""
    if attrs.has(cls):
        return [each.name for each in attrs.fields(cls) if each.init]
    if dataclasses.is_dataclass(cls):
        return [each.name for each in dataclasses.fields(cls) if each.init]
    if hasattr(cls, "__struct_fields__"):  # msgspec's
        fields: tuple[str, ...] = cls.__struct_fields__
        return fields
    return [*cls.__pydantic_fields__, "__pydantic_extra__"] if hasattr(cls, "__pydantic_fields__") else None


def _has_eq(cls: Any) -> bool:
    return bool(cls.__eq__ is not object.__eq__)


def _is_row(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple | deque)


def _is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, dict)


def _is_set(value: Any) -> TypeGuard[set[Any] | frozenset[Any]]:
    return isinstance(value, set | frozenset)
