"""pydantic's models and msgspec's structs cross like any class, and neither library is imported for anybody else."""

from __future__ import annotations

import base64
import json
import math
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from resonate import DecodingError, EncodingError, JsonCodec
from resonate.core.protocol.records import Value
from resonate.core.values import Call, Signature
from tests.unit.codecs.samples import label

codec = JsonCodec()
T = TypeVar("T")


class Line(pydantic.BaseModel):
    sku: str
    price: Decimal
    tags: set[str] = set()


class Invoice(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)

    id: UUID
    lines: list[Line]
    placed: datetime = pydantic.Field(alias="placedAt")
    raw: bytes = b""
    ratio: float = 0.0


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")

    when: datetime
    pair: tuple[int, str]


class Rows(pydantic.RootModel[list[int]]):
    pass


class Page(pydantic.BaseModel, Generic[T]):
    items: list[T]


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


class Owner(pydantic.BaseModel):
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]


class Money(pydantic.BaseModel):
    cents: int

    @pydantic.field_serializer("cents")
    def worse(self, cents: int) -> int:
        return cents + 1


class Hidden(pydantic.BaseModel):
    key: pydantic.SecretStr


class Failing(pydantic.BaseModel):
    n: int

    @pydantic.field_serializer("n")
    def fail(self, n: int) -> int:
        raise ZeroDivisionError("no\nmore")


class Struct(msgspec.Struct):
    sku: str
    price: Decimal
    placed: datetime | None = None


class Basket(msgspec.Struct, tag="basket", rename="camel"):
    the_lines: list[Struct]
    by_id: dict[UUID, bytes] = {}


class Pair(msgspec.Struct, array_like=True):
    a: int
    b: str


class Holder(msgspec.Struct, Generic[T]):
    item: T


class Nameless(msgspec.Struct, eq=False):
    x: float


@attrs.frozen
class Mixed:
    line: Line
    struct: Struct | None
    pages: dict[str, Page[int]]


LINE = Line(sku="a", price=Decimal("1.10"), tags={"x", "y"})
INVOICE = Invoice(id=UUID(int=1), lines=[LINE], placed=datetime(2026, 1, 2, tzinfo=UTC), raw=b"abc")
STRUCT = Struct("a", Decimal("1.1"), datetime(2026, 1, 2, tzinfo=UTC))

CASES = [
    (Line, LINE),
    (Invoice, INVOICE),
    (Strict, Strict(when=datetime(2026, 1, 2, tzinfo=UTC), pair=(1, "a"))),
    (Rows, Rows([1, 2])),
    (Page[int], Page[int](items=[1])),
    (Page[Line], Page[Line](items=[LINE])),
    (Owner, Owner(pet=Dog(tricks=["sit"]))),
    (Cat | Dog, Cat(lives=9)),
    (list[Cat | Dog | None], [Cat(lives=9), None, Dog(tricks=[])]),
    (Invoice | str, "text"),
    (dict[str, Line], {"a": LINE}),
    (pydantic.HttpUrl, pydantic.HttpUrl("https://example.org/a")),
    (Line, Line(sku="__INF__x__", price=Decimal(1))),
    (Struct, STRUCT),
    (Basket, Basket([STRUCT], {UUID(int=2): b"\0"})),
    (Pair, Pair(1, "x")),
    (Holder[int], Holder(3)),
    (Holder[Struct], Holder(STRUCT)),
    (Struct | Basket, Basket([])),
    (list[Struct | Pair], [STRUCT, Pair(1, "x")]),
    (Nameless | Cat, Cat(lives=1)),
    (Mixed, Mixed(LINE, STRUCT, {"p": Page[int](items=[])})),
]


@pytest.mark.parametrize(("type_", "value"), CASES, ids=label)
def test_they_come_back_equal(type_, value):
    stored = codec.encode(value, type_)
    back = codec.decode(stored, type_)
    assert (back, type(back)) == (value, type(value))
    assert codec.encode(back, type_) == stored


NAMES = frozenset(f"name {number}" for number in range(20))


class Boxes(pydantic.BaseModel):
    groups: list[set[str]]
    frozen: frozenset[frozenset[str]]


class Bag(msgspec.Struct):
    names: set[str]


def test_the_same_sets_are_the_same_text_in_every_process():
    script = (
        "from tests.unit.codecs.test_libraries import *\n"
        "boxes = Boxes(groups=[set(NAMES)], frozen=frozenset({NAMES, frozenset('abc')}))\n"
        "print(codec.encode(boxes, Boxes).data, codec.encode(Bag(set(NAMES)), Bag).data)\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1


def written(value: Any, type_: Any) -> Any:
    return json.loads(base64.b64decode(codec.encode(value, type_).data or ""))


def test_they_are_written_as_their_libraries_write_them():
    as_pydantic = json.loads(INVOICE.model_dump_json(by_alias=True))
    as_pydantic["lines"][0]["tags"].sort()  # a set's order is not pydantic's concern
    assert written(INVOICE, Invoice) == as_pydantic
    assert written(STRUCT, Struct) == json.loads(msgspec.json.encode(STRUCT))
    assert written(Basket([]), Basket) == {"type": "basket", "theLines": [], "byId": {}}
    assert written(Cat(lives=9), Cat | Dog) == {"$type": "Cat", "kind": "cat", "lives": 9}


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks_cross(number):
    back = codec.decode(codec.encode(INVOICE.model_copy(update={"ratio": number}), Invoice), Invoice)
    assert repr(back.ratio) == repr(number)
    assert repr(codec.decode(codec.encode(Nameless(number), Nameless), Nameless).x) == repr(number)


class Special(Line):
    more: int = 1


@pytest.mark.parametrize(
    ("type_", "value", "path", "says"),
    [
        (Line, {"sku": "a"}, "", "dict where Line is declared"),
        (Line, Special(sku="a", price=Decimal(1)), "", "declare Line | Special"),
        (Line, Line.model_construct(sku=3, price="x", tags=set()), "", "pydantic can't write this Line"),
        (Line, Line.model_construct(sku="a"), "price", "Field required"),
        (Money, Money(cents=1), "cents", "does not come back equal"),
        (Hidden, Hidden(key=pydantic.SecretStr("k")), "key", "does not come back equal"),
        (Failing, Failing(n=1), "", "ZeroDivisionError: no"),
        (list[Cat], [Cat.model_construct(lives=2**70, kind="cat")], "[0].lives", "beyond 64 bits"),
        (Page[int], Page(items=[1]), "", "Page where Page[int] is declared"),
        (Struct, Struct(1, Decimal(1)), "sku", "Expected `str`, got `int`"),
        (Basket, Basket([Struct("a", "x")]), "theLines[0].price", "Invalid decimal string"),
        (Struct, Struct("a", object()), "", "msgspec can't write this Struct"),
        (Struct, 3, "", "int where Struct is declared"),
    ],
    ids=label,
)
def test_what_does_not_fit_is_refused_with_the_path(type_, value, path, says):
    with pytest.raises(EncodingError) as caught:
        codec.encode(value, type_)
    assert caught.value.path == path
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("type_", "data", "path", "says"),
    [
        (
            Invoice,
            {"id": str(UUID(int=1)), "placedAt": "2026-01-02", "lines": [{"sku": "a"}]},
            "lines[0].price",
            "Field",
        ),
        (Strict, {"when": "2026-01-02T00:00:00Z", "pair": [1, "a"], "new": 1}, "new", "not permitted"),
        (Line, [], "", "should be an object"),
        (Struct, {"sku": "a", "price": []}, "price", "Expected `decimal`"),
        (Basket, {"type": "basket", "theLines": [{"sku": 3, "price": "1"}]}, "theLines[0].sku", "Expected `str`"),
        (Basket, {"type": "box", "theLines": []}, "type", "Invalid value"),
        (Pair, [1], "", "Expected `array` of"),
        (Cat | Dog, {"$type": "Cat", "lives": "many"}, "lives", "valid integer"),
    ],
    ids=label,
)
def test_stored_data_that_does_not_fit_is_refused_with_the_path(type_, data, path, says):
    with pytest.raises(DecodingError) as caught:
        codec.decode(Value({}, base64.b64encode(json.dumps(data).encode()).decode()), type_)
    assert caught.value.path == path
    assert says in str(caught.value)


def test_objects_of_other_sdks_are_told_apart_by_their_fields():
    for data, back in (
        ({"lives": 9}, Cat(lives=9)),
        ({"kind": "dog", "tricks": [], "age": 3}, Dog(tricks=[])),
    ):
        stored = Value({}, base64.b64encode(json.dumps(data).encode()).decode())
        assert codec.decode(stored, Cat | Dog) == back
    stored = Value({}, base64.b64encode(b'{"type":"basket","theLines":[]}').decode())
    assert codec.decode(stored, Basket | Struct) == Basket([])


def test_the_argument_that_does_not_fit_is_named():
    signature = Signature(positional=(Invoice,), names=("invoice",))
    call = Call(func="charge", args=(INVOICE.model_copy(update={"lines": [Line.model_construct(sku="a")]}),))
    with pytest.raises(EncodingError) as caught:
        codec.encode_call(call, signature)
    assert caught.value.path == "invoice.lines[0].price"
    assert "a call of charge: invoice.lines[0].price can't be written" in str(caught.value)


def test_a_change_that_pydantic_allows_is_read():
    class Before(pydantic.BaseModel):
        n: int

    class After(pydantic.BaseModel):
        n: str | int
        more: list[int] = []

    assert codec.decode(codec.encode(Before(n=1), Before), After) == After(n=1)


SCRIPT = """
import sys
from dataclasses import dataclass
from resonate import JsonCodec, Resonate

@dataclass
class Item:
    n: int

codec = JsonCodec()
assert codec.decode(codec.encode([Item(1)], list[Item]), list[Item]) == [Item(1)]
Resonate()
print(sorted({"pydantic", "msgspec"} & set(sys.modules)))
"""


def test_neither_library_is_imported_for_those_who_do_not_use_it():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
