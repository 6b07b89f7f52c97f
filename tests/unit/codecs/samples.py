"""Types of every sort that can cross, for the codec's tests."""

# ruff: noqa: DTZ001, DTZ901 - naive datetimes are values like any other

import collections
import enum
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    LiteralString,
    NamedTuple,
    NewType,
    NotRequired,
    Self,
    TypedDict,
    TypeVar,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs

T = TypeVar("T")
K = TypeVar("K")


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Mood(enum.StrEnum):
    GLAD = "glad"
    SAD = "sad"


class Point(enum.Enum):
    ORIGIN = (0, 0)
    UNIT = (1, 1)


class Access(enum.Flag):
    READ = 1
    WRITE = 2


UserId = NewType("UserId", int)


@attrs.frozen
class Item:
    sku: str
    price: Decimal


@attrs.define
class Order:
    id: UserId
    items: list[Item]
    placed: datetime | None = None
    _secret: bytes = b""


@dataclass
class Node:
    value: int
    children: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    number: str


@dataclass(frozen=True)
class Cash:
    amount: int


@attrs.frozen
class Box(Generic[T]):
    item: T


@attrs.frozen
class Pair(Box[T], Generic[T, K]):
    other: K


@attrs.frozen
class IntBox(Box[int]):
    label: str = ""


@attrs.define
class Area:
    width: int
    height: int = attrs.field(converter=int)
    total: int = attrs.field(init=False)

    def __attrs_post_init__(self):
        self.total = self.width * self.height


@attrs.define(eq=False)
class Nameless:
    x: int


@dataclass
class Chain:
    value: int
    next: Self | None = None
    others: list[Self] = field(default_factory=list)


class Row(NamedTuple):
    name: str
    count: int = 0


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


BERLIN = ZoneInfo("Europe/Berlin")
ID = UUID("12345678-1234-5678-1234-567812345678")

# (type, values that must come back equal)
CASES: list[tuple[Any, list[Any]]] = [
    (Any, [None, True, 0, -(2**63), 2**64 - 1, 1.5, -0.0, "", "hé\u2028", [], {}, {"a": [1, {"b": None}]}]),
    (Any, [float("inf"), [float("-inf")], {"a": float("inf")}, {"__type": "error", "message": "no"}]),
    (object, [[1, "a"]]),
    (None, [None]),
    (bool, [True, False]),
    (int, [0, -1, 2**53 + 1, 2**64, -(2**64), 10**40, True]),
    (float, [0.0, 1e300, 5e-324, float("inf"), float("-inf"), 3]),
    (str, ["", "a", "__INF__", "__NAN__", "\x00\U0001f600", '"\\']),
    (bytes, [b"", b"\x00\xff", bytes(range(256))]),
    (bytearray, [bytearray(b"ab")]),
    (datetime, [datetime(2024, 1, 2, 3, 4, 5, 678901), datetime.min, datetime.max]),
    (datetime, [datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=timezone(timedelta(minutes=-330)))]),
    (datetime, [datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1)]),
    (datetime, [datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN), datetime(2024, 7, 1, tzinfo=ZoneInfo("UTC"))]),
    (date, [date(2024, 2, 29), date.min]),
    (time, [time(1, 2, 3, 4), time(1, tzinfo=UTC), time(9, tzinfo=BERLIN), time(9, tzinfo=ZoneInfo("Etc/GMT+5"))]),
    (timedelta, [timedelta(0), timedelta(microseconds=-1), timedelta(days=400, seconds=3, microseconds=50)]),
    (timedelta, [timedelta.max, timedelta.min]),
    (UUID, [ID]),
    (Decimal, [Decimal("0.10"), Decimal("1E+400"), Decimal("-0"), Decimal("Infinity")]),
    (Fraction, [Fraction(1, 3)]),
    (Path, [Path("/a/b"), Path()]),
    (PurePosixPath, [PurePosixPath("a/b")]),
    (ipaddress.IPv4Address, [ipaddress.IPv4Address("10.0.0.1")]),
    (ipaddress.IPv6Network, [ipaddress.IPv6Network("2001:db8::/32")]),
    (ZoneInfo, [BERLIN]),
    (Color, list(Color)),
    (Size, list(Size)),
    (Mood, list(Mood)),
    (Point, list(Point)),
    (Access, [Access.READ, Access.READ | Access.WRITE, Access(0)]),
    (Literal["a", 1, True, b"x", Color.RED], ["a", 1, True, b"x", Color.RED]),
    (Literal["a"] | None, ["a", None]),
    (list, [[], [1, "a", None]]),
    (list[int], [[], [1, 2**70]]),
    (list[float], [[1.5, float("inf")], [1.0]]),
    (list[datetime], [[datetime(2024, 1, 1)]]),
    (Sequence[str], [["a"]]),
    (tuple, [(), (1, "a")]),
    (tuple[int, ...], [(), (1, 2)]),
    (tuple[int, str, Color], [(1, "a", Color.RED)]),
    (tuple[()], [()]),
    (set[str], [set(), {"b", "a"}]),
    (frozenset[int], [frozenset({3, 1})]),
    (set[int | str], [{1, "1", "a"}]),
    (set[tuple[int, str]], [{(2, "a"), (1, "b")}]),
    (set[Item], [{Item("a", Decimal(1)), Item("b", Decimal("0.1"))}]),
    (dict, [{}, {"a": 1}]),
    (dict[str, int], [{"a": 1}, collections.OrderedDict(b=1, a=2), collections.defaultdict(int, a=1)]),
    (dict[int, str], [{1: "a", -2: "b", 2**70: "c"}]),
    (dict[UUID, Color], [{ID: Color.RED}]),
    (dict[Color, int], [{Color.RED: 1}]),
    (dict[Size, int], [{Size.SMALL: 1}]),
    (dict[date, list[int]], [{date(2024, 1, 1): [1]}]),
    (dict[tuple[int, str], int], [{(1, "a"): 1}]),
    (dict[int | str, int], [{1: 1, "1": 2}]),
    (dict[bool | None, int], [{True: 1, None: 2}]),
    (dict[float, int], [{0.5: 1, float("inf"): 2}]),
    (dict[str, Any], [{"a": {"b": [1, None]}, "c": float("inf")}]),
    (Mapping[str, int], [{"a": 1}]),
    (collections.OrderedDict[str, int], [collections.OrderedDict(b=1, a=2)]),
    (collections.Counter[str], [collections.Counter("aab")]),
    (collections.defaultdict[str, int], [collections.defaultdict(int, a=1)]),
    (collections.defaultdict[str, list[int]], [collections.defaultdict(list, a=[1])]),
    (collections.deque[int], [collections.deque(), collections.deque([1, 2])]),
    (LiteralString, ["a"]),
    (int | None, [None, 1, 2**70]),
    (int | str, [1, "a", "1", True]),
    (int | float, [1, 1.0, 2.5, float("inf")]),
    (float | str | None, [1.5, "a", "__INF__", None]),
    (bool | int, [True, 0]),
    (UUID | str, [ID, str(ID)]),
    (datetime | date, [datetime(2024, 1, 1), date(2024, 1, 1)]),
    (Mood | str, [Mood.GLAD, "glad", "other"]),
    (list[int] | list[str], [[], [1], ["a"]]),
    (list[int] | tuple[int, ...] | set[int], [[1], (1,), {1}]),
    (dict[str, int] | Card, [{"number": 1}, {"$type": 1}, Card(number="4")]),
    (Card | Cash | None, [Card(number="4"), Cash(3), None]),
    (list[Card | Cash], [[Card(number="4"), Cash(3)]]),
    (Box[int] | Box[str], [Box(1), Box("a")]),
    (UserId, [UserId(3)]),
    (Annotated[int, "positive"], [3]),
    (Annotated[list[int], ["unhashable"]], [[3]]),
    (Item, [Item("a", Decimal("1.10"))]),
    (Order, [Order(UserId(1), [Item("a", Decimal(1))], datetime(2024, 1, 1, tzinfo=UTC), b"s"), Order(UserId(2), [])]),
    (Node, [Node(1, [Node(2, [Node(3)])])]),
    (Card, [Card(number="4")]),
    (Box[Node], [Box(Node(1))]),
    (Box[list[Box[Color]]], [Box([Box(Color.RED)])]),
    (Box, [Box("any"), Box(None)]),
    (Pair[int, datetime], [Pair(1, datetime(2024, 1, 1))]),
    (IntBox, [IntBox(1, "a")]),
    (Area, [Area(2, 3)]),
    (Row, [Row("a", 1), Row("b")]),
    (Chain, [Chain(1, Chain(2), [Chain(3)])]),
    (list[Chain], [[Chain(1)]]),
    (Movie, [{"title": "a"}, {"title": "a", "year": 1999}]),
]


def label(value):
    """Name a test's parameter, the same in every process."""
    text = repr(value)
    return type(value).__name__ if "{" in text or " at 0x" in text else text[:60]
