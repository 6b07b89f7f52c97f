"""Nested types, and values of them, as a program may declare them."""

from __future__ import annotations

import collections
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    Optional,
    TypeVar,
    Union,
)
from uuid import UUID

import attrs
import msgspec
import pydantic
from hypothesis import strategies as st

from tests.unit.codecs.samples import Color, Item, Mood, Movie, Row, Size, UserId

T = TypeVar("T")
K = TypeVar("K")


@dataclass
class Node(Generic[T]):
    value: T
    next: Node[T] | None = None
    tags: set[str] = field(default_factory=set)


@attrs.define
class Pair(Generic[T, K]):
    one: T
    other: K


@dataclass(frozen=True)
class Key:
    n: int
    color: Color = Color.RED


class Model(pydantic.BaseModel):
    n: int
    when: datetime | None = None
    parts: list[str] = []


class Struct(msgspec.Struct):
    name: str
    ids: list[UUID] = []


@attrs.frozen(eq=False, repr=False)
class Shape:
    """A type and values of it.

    Args:
        type_: the annotation.
        values: a strategy.
        hashable: whether its values may be elements of sets.
        certain: whether all of these values can be written; a union may refuse one that it can't tell apart.
    """

    type_: Any
    values: st.SearchStrategy[Any]
    hashable: bool = True
    certain: bool = True


_INT64 = st.integers(-(2**63), 2**63)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_INSTANTS = st.datetimes(timezones=st.just(UTC) | st.none())

LEAVES: list[Shape] = [
    Shape(None, st.none()),
    Shape(bool, st.booleans()),
    Shape(int, st.integers()),
    Shape(float, st.floats(allow_nan=False)),
    Shape(str, _TEXT),
    Shape(bytes, st.binary(max_size=8)),
    Shape(datetime, _INSTANTS),
    Shape(date, st.dates()),
    Shape(time, st.times(timezones=st.none() | st.timezones())),
    Shape(timedelta, st.timedeltas()),
    Shape(UUID, st.uuids()),
    Shape(Decimal, st.decimals(allow_nan=False)),
    Shape(Fraction, st.fractions()),
    Shape(PurePosixPath, st.lists(st.sampled_from(["a", "b c", "é"]), max_size=3).map(lambda p: PurePosixPath(*p))),
    Shape(Color, st.sampled_from(Color)),
    Shape(Size, st.sampled_from(Size)),
    Shape(Mood, st.sampled_from(Mood)),
    Shape(Literal["a", 1], st.sampled_from(["a", 1])),
    Shape(UserId, st.integers()),
    Shape(Item, st.builds(Item, _TEXT, st.decimals(allow_nan=False))),
    Shape(Key, st.builds(Key, _INT64, st.sampled_from(Color))),
    Shape(Row, st.builds(Row, _TEXT, _INT64)),
    Shape(Movie, st.fixed_dictionaries({"title": _TEXT}, optional={"year": _INT64}), hashable=False),
    Shape(
        Model, st.builds(Model, n=_INT64.filter(lambda n: n < 2**63), when=_INSTANTS, parts=st.lists(_TEXT)),
        hashable=False,
    ),
    Shape(Struct, st.builds(Struct, _TEXT, st.lists(st.uuids(), max_size=2)), hashable=False),
    Shape(Any, st.recursive(st.none() | st.booleans() | _INT64 | _TEXT.filter(lambda t: "__" not in t), lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(_TEXT, parts, max_size=3)), max_leaves=5), hashable=False),
]  # fmt: skip


def _of_one(make: Callable[[Shape], Shape]) -> Callable[[Shape], Shape]:
    return lambda inner: attrs.evolve(make(inner), certain=inner.certain)


def _few(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=3)


def _chains(inner: Shape) -> st.SearchStrategy[Any]:
    end = st.builds(Node, inner.values)
    return end | st.builds(Node, inner.values, end, st.sets(_TEXT, max_size=2))


WRAPS: list[Callable[[Shape], Shape]] = [
    _of_one(lambda i: Shape(list[i.type_], _few(i.values), hashable=False)),
    _of_one(lambda i: Shape(tuple[i.type_, ...], _few(i.values).map(tuple), hashable=i.hashable)),
    _of_one(lambda i: Shape(dict[str, i.type_], st.dictionaries(_TEXT, i.values, max_size=3), hashable=False)),
    _of_one(lambda i: Shape(collections.deque[i.type_], _few(i.values).map(collections.deque), hashable=False)),
    _of_one(lambda i: Shape(Annotated[i.type_, "a note"], i.values, hashable=i.hashable)),
    _of_one(lambda i: Shape(Node[i.type_], _chains(i), hashable=False)),
    _of_one(lambda i: Shape(Optional[i.type_], st.none() | i.values, hashable=i.hashable)),  # noqa: UP045 - of a variable
    _of_one(lambda i: Shape(set[i.type_], st.sets(i.values, max_size=3), hashable=False) if i.hashable else i),
    _of_one(
        lambda i: Shape(frozenset[i.type_], st.frozensets(i.values, max_size=3)) if i.hashable else i
    ),
    _of_one(
        lambda i: Shape(dict[i.type_, bool], st.dictionaries(i.values, st.booleans(), max_size=3), hashable=False)
        if i.hashable
        else i
    ),
    _of_one(lambda i: Shape(collections.defaultdict[str, list[i.type_]], st.dictionaries(
        _TEXT, _few(i.values), max_size=2).map(lambda d: collections.defaultdict(list, d)), hashable=False)),
]  # fmt: skip


def _pair(one: Shape, other: Shape) -> Shape:
    return Shape(
        tuple[one.type_, other.type_],
        st.tuples(one.values, other.values),
        hashable=one.hashable and other.hashable,
        certain=one.certain and other.certain,
    )


def _class_of_two(one: Shape, other: Shape) -> Shape:
    return Shape(
        Pair[one.type_, other.type_],
        st.builds(Pair, one.values, other.values),
        hashable=False,
        certain=one.certain and other.certain,
    )


def _union(one: Shape, other: Shape) -> Shape:
    return Shape(
        Union[one.type_, other.type_],  # noqa: UP007 - of variables
        one.values | other.values,
        hashable=one.hashable and other.hashable,
        certain=False,
    )


NEIGHBOURS: list[list[type]] = [[float, int], [int, Size], [float, Size], [str, Mood], [Decimal, float, int]]
"""Of each, one takes values of another and gives them back as its own."""


def _union_of_neighbours(wrap: Callable[[Shape], Shape], types: list[type]) -> Shape:
    """Return a union of types that only the classes of their parts tell apart."""
    return functools.reduce(_union, [wrap(leaf) for leaf in LEAVES if leaf.type_ in types])


def _larger(inner: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    wrapped = st.builds(lambda wrap, shape: wrap(shape), st.sampled_from(WRAPS), inner)
    paired = st.builds(lambda two, a, b: two(a, b), st.sampled_from([_pair, _class_of_two, _union]), inner, inner)
    return wrapped | paired | st.builds(_union_of_neighbours, st.sampled_from(WRAPS), st.sampled_from(NEIGHBOURS))


shapes = st.recursive(st.sampled_from(LEAVES), _larger, max_leaves=4)


def same(one: Any, other: Any) -> bool:
    """Say whether two values are equal, and of the same class to the last part that a container or field holds."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple | collections.deque):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and all(any(same(item, each) for each in other) for item in one)
    if isinstance(one, dict):
        return same(set(one), set(other)) and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, Pair | Node):
        return all(same(getattr(one, name), getattr(other, name)) for name in type(one).__annotations__)
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))
