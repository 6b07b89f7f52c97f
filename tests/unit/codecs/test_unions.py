"""A union whose members take each other's values: each value comes back of the class it went with, to the last part."""

from __future__ import annotations

import base64
import sys
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from pathlib import PurePath, PurePosixPath
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest

from resonate import JsonCodec
from tests.property.shapes import Node, Pair, same

codec = JsonCodec()
T = TypeVar("T")
IntOrText = TypeVar("IntOrText", int, str)


class size(IntEnum):  # noqa: N801 - behind `int` by name
    SMALL = 1


class word(StrEnum):  # noqa: N801 - behind `str` by name
    YES = "yes"


class Floats(TypedDict):
    x: float


class Ints(TypedDict):
    x: int


class FloatRow(NamedTuple):
    x: float


class IntRow(NamedTuple):
    x: int


@dataclass(eq=False)
class Plain(Generic[T]):
    """It has no `==` of its own."""

    x: T


@dataclass
class Silent(Generic[T]):
    """Its one field does not count when instances are compared."""

    x: T = field(compare=False)


@attrs.define
class Summed(Generic[T]):
    """It has a field that the constructor makes."""

    parts: list[T]
    total: T = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.total = sum(self.parts)  # type: ignore[assignment,arg-type]


class Struct(msgspec.Struct, Generic[T]):
    x: T


class Model(pydantic.BaseModel, Generic[T]):
    x: T


def text(value: object, type_: Any) -> str:
    return base64.b64decode(codec.encode(value, type_).data or "").decode()


EACH_AS_ITSELF = [
    (list[float] | list[int], [[1], [1.0], [], [2**70], [True]]),
    (tuple[float, ...] | tuple[int, ...], [(1,), (1.0,)]),
    (tuple[float, str] | tuple[int, str], [(1, "a"), (1.0, "a")]),
    (deque[float] | deque[int], [deque([1]), deque([1.0])]),
    (dict[str, float] | dict[str, int], [{"a": 1}, {"a": 1.0}]),
    (dict[float, str] | dict[int, str], [{1: "a"}, {1.0: "a"}]),
    (set[float] | set[int], [{1}, {1.0}]),
    (frozenset[float] | frozenset[int] | None, [frozenset({1}), frozenset({1.0}), None]),
    (list[list[float]] | list[list[int]], [[[1]], [[1.0]]]),
    (dict[str, list[float]] | dict[str, list[int]], [{"a": [1]}, {"a": [1.0]}]),
    (set[tuple[float, ...]] | set[tuple[int, ...]], [{(1,)}, {(1.0,)}]),
    (list[float | None] | list[int | None], [[1, None], [1.0, None]]),
    (list[float | str] | list[int | bool], [[1, True], [1.5, "a"]]),
    (list[list[float] | list[int]], [[[1], [1.0]]]),
    (list[float] | list[Decimal] | list[Fraction], [[1.0], [Decimal(1)], [Fraction(1)]]),
    (list[int] | list[size], [[size.SMALL], [1]]),
    (list[float] | list[size], [[size.SMALL], [1.0]]),
    (list[str] | list[word], [[word.YES], ["yes"]]),
    (dict[str, int] | dict[word, int], [{word.YES: 1}, {"yes": 1}]),
    (list[str] | tuple[Literal["a"], ...] | list[word], [["a"], ("a",), [word.YES]]),
    (list[frozenset[int]] | list[set[int]], [[{1}], [frozenset({1})]]),
    (list[dict[str, int]] | list[OrderedDict[str, int]], [[{"a": 1}], [OrderedDict(a=1)]]),
    (list[PurePath] | list[PurePosixPath], [[PurePosixPath("a")]]),
    (list[Floats] | list[Ints], [[{"x": 1}], [{"x": 1.0}]]),
    (Floats | Ints, [{"x": 1}, {"x": 1.0}]),
    (list[FloatRow] | list[IntRow], [[FloatRow(1.0)], [IntRow(1)]]),
    (Pair[float, str] | Pair[int, str], [Pair(1, "a"), Pair(1.0, "a")]),
    (Node[float] | Node[int], [Node(1, Node(2)), Node(1.0, Node(2.0))]),
    (list[Any] | list[float], [[1], [1.5, float("inf")], [float("inf")]]),
    # members that are themselves unions, behind a note or a variable
    (Annotated[list[int] | None, "a note"] | list[float], [[1], [1.0], None]),
    (Annotated[set[int] | None, "a note"] | set[float] | str, [{1}, {1.0}, None, "a"]),
    (Annotated[set[int] | None, "a note"] | frozenset[int], [{1}, frozenset({1})]),
    (float | IntOrText, [1, 1.0, "a"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("type_", "value"),
    [pytest.param(type_, value, id=f"{type_} {value}") for type_, values in EACH_AS_ITSELF for value in values],
)
def test_each_value_comes_back_of_its_class_to_the_last_part(type_, value):
    back = codec.decode(codec.encode(value, type_), type_)
    assert same(back, value)
    assert repr(back) == repr(value)


@pytest.mark.parametrize("cls", [Plain, Silent, Struct, Model])
def test_the_fields_of_a_generic_class_tell_its_types_apart(cls):
    for type_ in (cls[float] | cls[int], list[cls[float]] | list[cls[int]]):
        for x in (1, 1.0):
            made = cls[type(x)](x=x)
            value = made if type_ == cls[float] | cls[int] else [made]
            back = codec.decode(codec.encode(value, type_), type_)
            found = back[0] if isinstance(back, list) else back
            assert type(found) is type(made)
            assert type(found.x) is type(x)


def test_a_field_that_the_constructor_makes_follows_from_the_others():
    type_ = Summed[float] | Summed[int]
    for value in (Summed([1]), Summed([1.0])):
        back = codec.decode(codec.encode(value, type_), type_)
        assert type(back.total) is type(value.total)
        assert back == value


@pytest.mark.parametrize(
    ("type_", "value", "json"),
    [
        (list[float] | list[int], [], '{"$type":"list[float]","value":[]}'),
        (list[float] | list[int], [1.0], '{"$type":"list[float]","value":[1.0]}'),
        (list[float] | list[int], [float("nan")], '{"$type":"list[float]","value":["__NAN__"]}'),
        (list[float] | list[Any], [float("nan")], '{"$type":"list[Any]","value":["__NAN__"]}'),
        (list[int] | list[str], [1], '{"$type":"list[int]","value":[1]}'),
        (Literal[1] | Annotated[int | str, "a note"], 1, '{"$type":"Literal[1]","value":1}'),
        (Annotated[list[int] | None, "a note"] | list[float], [], '{"$type":"list[float]","value":[]}'),
    ],
)
def test_what_more_than_one_member_gives_back_is_written_as_ever(type_, value, json):
    assert text(value, type_) == json


@pytest.mark.parametrize(
    ("type_", "value", "json"),
    [
        (float | str, 1, "1.0"),
        (list[float] | list[str], [1], '{"$type":"list[float]","value":[1.0]}'),
        (list[float] | list[int], [1, 1.5], '{"$type":"list[float]","value":[1.0,1.5]}'),
    ],
)
def test_an_int_that_only_a_float_takes_is_a_float_as_everywhere(type_, value, json):
    assert text(value, type_) == json
    assert codec.decode(codec.encode(value, type_), type_) == value


def moved(parts: list[Any]) -> list[Any]:
    kept = list(parts)
    parts.clear()
    return kept


@attrs.define
class Emptying(Generic[T]):
    """Its constructor empties the list that it is given."""

    parts: list[T] = attrs.field(converter=moved)


def test_a_constructor_that_changes_what_it_is_given_does_not_change_what_is_written():
    type_ = list[Emptying[float]] | list[Emptying[int]]
    assert text([Emptying([1, 2])], type_) == '{"$type":"list[Emptying[int]]","value":[{"parts":[1,2]}]}'


def test_a_union_whose_members_have_classes_of_their_own_reads_nothing_back():
    made = []

    class Row(NamedTuple):
        x: float

    class Watched(Row):
        def __new__(cls, x):
            made.append(x)
            return super().__new__(cls, x)

    value = Watched(1.0)
    made.clear()
    codec.encode(value, Watched | list[int] | str)
    codec.encode([value], list[Watched] | deque[int] | str | None)
    assert made == []
    codec.encode([value], list[Watched] | list[int])
    assert made == [1.0]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type X = ...` is newer")
def test_a_member_behind_an_alias_of_its_own():
    names: dict[str, Any] = {}
    exec("type Ints = list[int] | None", names)  # a syntax that older Pythons refuse
    type_ = names["Ints"] | list[float]
    for value in ([1], [1.0], None):
        assert same(codec.decode(codec.encode(value, type_), type_), value)
