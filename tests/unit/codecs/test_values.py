"""Law 1, by example: every value comes back equal and of its type, or is refused with the path to the culprit."""

import abc
import base64
import collections
import math
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

import attrs
import orjson
import pytest

from resonate.adapters.codecs.json import JsonCodec
from resonate.core.protocol.records import Value
from resonate.errors import DecodingError, EncodingError
from tests.unit.codecs.samples import (
    BERLIN,
    CASES,
    ID,
    Access,
    Area,
    Box,
    Card,
    Cash,
    Color,
    IntBox,
    Item,
    Mood,
    Movie,
    Nameless,
    Node,
    Order,
    Point,
    Row,
    UserId,
    label,
)

codec = JsonCodec()


class Steps(IntEnum):
    ONE = 1


def text(value: Value) -> str:
    return base64.b64decode(value.data or "").decode()


def stored(json: str) -> Value:
    return Value({}, base64.b64encode(json.encode()).decode())


@pytest.mark.parametrize(("type_", "value"), [(type_, value) for type_, values in CASES for value in values], ids=label)
def test_comes_back_equal(type_, value):
    assert codec.decode(codec.encode(value, type_), type_) == value


@pytest.mark.parametrize("type_", [Any, float, float | None, list[float]], ids=label)
def test_nan_comes_back(type_):
    value = [math.nan] if type_ == list[float] else math.nan
    back = codec.decode(codec.encode(value, type_), type_)
    assert math.isnan(back[0] if isinstance(back, list) else back)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Color, Color.RED),
        (Mood | str, Mood.GLAD),
        (tuple[int, ...], (1,)),
        (set[int], {1}),
        (frozenset[int], frozenset({1})),
        (UUID | str, ID),
        (Row, Row("a", 1)),
        (bool | int, True),
        (int | float, 1),
        (int | float, 1.0),
        (Box[int] | Box[str], Box(1)),
    ],
    ids=label,
)
def test_comes_back_as_its_own_type(type_, value):
    assert type(codec.decode(codec.encode(value, type_), type_)) is type(value)


def test_a_zone_and_its_fold_come_back():
    value = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)
    back = codec.decode(codec.encode(value, datetime), datetime)
    assert (back.tzinfo, back.fold) == (BERLIN, 1)


def test_a_class_without_equality_comes_back_field_by_field():
    assert codec.decode(codec.encode(Nameless(3), Nameless), Nameless).x == 3


class Anywhere(tzinfo):
    def utcoffset(self, _when: datetime | None) -> None:
        return None


class Priced(Protocol):
    price: Decimal


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> int: ...


@attrs.frozen
class Square(Shape):
    side: int

    def area(self) -> int:
        return self.side**2


T_co = TypeVar("T_co", covariant=True)


class Sized(Protocol[T_co]):
    def size(self) -> T_co: ...


def test_an_untyped_deque_or_defaultdict_is_refused_and_a_bare_one_is_of_plain_json():
    for value in (collections.deque([1]), collections.defaultdict(int)):
        with pytest.raises(EncodingError):
            codec.encode(value)
        with pytest.raises(EncodingError):
            codec.encode({"a": value}, dict)
    back = codec.decode(codec.encode(collections.deque([1, "a"]), collections.deque), collections.deque)
    assert back == collections.deque([1, "a"])
    back = codec.decode(codec.encode(collections.defaultdict(list, a=[1]), Lists), Lists)
    assert (back, back["new"]) == ({"a": [1], "new": []}, [])


Lists = collections.defaultdict[str, list[int]]


def test_a_class_that_was_renamed_is_read_by_its_former_name_in_a_union():
    renamed = JsonCodec(renamed={"Coin": Cash})
    for data in ('{"$type":"Coin","amount":3}', '{"$type":"Cash","amount":3}'):
        assert renamed.decode(stored(data), Card | Cash) == Cash(3)
        assert renamed.decode(stored(f"[{data}]"), list[Card | Cash | None]) == [Cash(3)]
    assert renamed.encode(Cash(3), Card | Cash) == codec.encode(Cash(3), Card | Cash)
    with pytest.raises(DecodingError, match="the tag 'Coin'"):
        codec.decode(stored('{"$type":"Coin","amount":3}'), Card | Cash)


def test_an_object_of_another_sdk_is_the_one_class_that_its_fields_fit():
    assert codec.decode(stored('{"number":"4"}'), Card | Cash) == Card(number="4")
    assert codec.decode(stored('{"amount":4}'), Card | Cash | None) == Cash(4)
    assert codec.decode(stored('{"amount":4,"new":1}'), Card | Cash) == Cash(4)
    assert codec.decode(stored('{"title":"a"}'), Movie | Card) == {"title": "a"}
    assert codec.decode(stored('{"width":1,"height":2}'), Area | Item) == Area(1, 2)
    for data, type_ in (
        ('{"x":1}', Card | Cash),
        ('{"number":"4"}', Card | dict[str, str]),
        ('{"item":1}', Box[int] | Box[str]),
        ('{"item":1}', Box[int] | IntBox),
    ):
        with pytest.raises(DecodingError, match="an object without"):
            codec.decode(stored(data), type_)


@pytest.mark.parametrize(
    ("type_", "value", "path", "says"),
    [
        (Any, (1, 2), "", "tuple where no type is declared"),
        (Any, {"a": [1, (2,)]}, "a[1]", "tuple"),
        (Any, {1: 2}, "", "a key of type int"),
        (Any, {"a": {1: 2}}, "a", "a key of type int"),
        (Any, {1}, "", "set"),
        (Any, [datetime(2024, 1, 1, tzinfo=UTC)], "[0]", "datetime"),
        (Any, {"a": Mood.GLAD}, "a", "Mood"),
        (Any, ID, "", "UUID"),
        (Any, [Cash(1)], "[0]", "Cash"),
        (Any, 2**64, "", "64 bits"),
        (Any, {"a": [2**64]}, "a[0]", "64 bits"),
        (Any, "__INF__", "", "read back as a number"),
        (Any, {"a": ["__NAN__"]}, "a[0]", "read back as a number"),
        (Any, {"a": "\ud800"}, "a", "surrogate"),
        (str, "\udfff", "", "surrogate"),
        (int, "3", "", "str where int is declared"),
        (int, 3.0, "", "float where int is declared"),
        (int, None, "", "None where int is declared"),
        (None, 3, "", "int where None is declared"),
        (str, 3, "", "int where str is declared"),
        (bool, 1, "", "int where bool is declared"),
        (float, 2**53 + 1, "", "no float equals"),
        (float, True, "", "bool where float is declared"),
        (Decimal, 1.5, "", "float where Decimal is declared"),
        (datetime, date(2024, 1, 1), "", "date where datetime is declared"),
        (time, time(9, tzinfo=Anywhere()), "", "a time in a zone that has no name"),
        (date, datetime(2024, 1, 1, tzinfo=UTC), "", "datetime where date is declared"),
        (bytes, "a", "", "str where bytes is declared"),
        (Color, "red", "", "str where Color is declared"),
        (Literal[1], True, "", "bool where Literal[1] is declared"),
        (Access, 1, "", "int where Access is declared"),
        (list[int], [1, "a"], "[1]", "str where int is declared"),
        (list[int], (1,), "", "tuple where list[int] is declared"),
        (tuple[int, ...], [1], "", "list where tuple[int, ...] is declared"),
        (tuple[int, str], (1,), "", "1 elements"),
        (tuple[int, str], (1, 2), "[1]", "int where str is declared"),
        (set[int], {"a"}, "{}", "str where int is declared"),
        (set[int], [1], "", "list where set[int] is declared"),
        (dict[str, int], {"a": "b"}, "a", "str where int is declared"),
        (dict[str, int], {1: 1}, "key(1)", "int where str is declared"),
        (dict[str, list[int]], {"a b": [1, None]}, "['a b'][1]", "None where int is declared"),
        (int | str, 1.5, "", "float where int | str is declared"),
        (float | str, math.inf, "", "can't be told from text"),
        (int | float, 2**64, "", "64 bits"),
        (Order, Order(UserId(1), [Item("a", Decimal(1)), Item("b", 2)]), "items[1].price", "int where Decimal"),
        (Node, Node(1, [Node(2), Node("x")]), "children[1].value", "str where int is declared"),
        (list[Card | Cash], [Cash(1), Cash("x")], "[1].amount", "str where int is declared"),
        (Box[int], IntBox(1), "", "IntBox where Box[int] is declared"),
        (Box[int], Box("a"), "item", "str where int is declared"),
        (Item, {"sku": "a", "price": 1}, "", "dict where Item is declared"),
        (Row, ("a", 1), "", "tuple where Row is declared"),
        (Movie, {"year": 1}, "title", "nothing where Movie requires a value"),
        (Movie, {"title": "a", "more": 1}, "", "the key 'more'"),
        (Callable[[], int], print, "", "no way to write a function"),
        (Iterator[int], iter([1]), "", "Iterator[int] is an abstract class"),
        (Priced, Item("a", Decimal(1)), "", "Priced is a Protocol: it says what a value can do"),
        (int | Priced | None, 3, "", "Priced is a Protocol"),
        (list[Priced | None], [Item("a", Decimal(1))], "[0]", "Declare the class, or the union of the classes"),
        (Sized, Item("a", Decimal(1)), "", "Sized is a Protocol"),
        (Shape, Square(1), "", "Shape is an abstract class"),
        (collections.deque[int], collections.deque([1], 3), "", "at most 3 elements"),
        (collections.deque[int], [1], "", "list where deque[int] is declared"),
        (collections.deque[int], collections.deque(["a"]), "[0]", "str where int is declared"),
        (collections.defaultdict[str, int], {"a": 1}, "", "dict where defaultdict[str, int] is declared"),
        (collections.defaultdict[str, int], collections.defaultdict(lambda: 5, a=1), "", "its default_factory"),
        (collections.defaultdict[str, int], collections.defaultdict(int, a="b"), "a", "str where int is declared"),
        (object, object(), "", "object where no type is declared"),
    ],
    ids=label,
)
def test_is_refused_with_the_path(type_, value, path, says):
    with pytest.raises(EncodingError) as caught:
        codec.encode(value, type_)
    assert caught.value.path == path
    assert says in str(caught.value)
    assert path in str(caught.value)


def test_a_value_that_contains_itself_is_refused():
    loop: list = []
    loop.append(loop)
    for type_ in (Any, list, list[Any]):
        with pytest.raises(EncodingError):
            codec.encode(loop, type_)


def test_a_field_that_the_constructor_does_not_restore_is_refused():
    area = Area(2, 3)
    area.total = 7
    with pytest.raises(EncodingError) as caught:
        codec.encode(area, Area)
    assert caught.value.path == "total"


def test_a_value_that_its_own_validators_would_refuse_is_refused():
    @attrs.define(on_setattr=[])
    class Positive:
        x: int = attrs.field(validator=attrs.validators.gt(0))

    value = Positive(1)
    assert codec.decode(codec.encode(value, Positive), Positive) == value
    value.x = 0
    with pytest.raises(EncodingError, match="Positive refuses these values"):
        codec.encode(value, Positive)


def test_a_dataclass_that_needs_more_than_its_fields_is_refused():
    @dataclass
    class Seeded:
        x: int
        seed: InitVar[int]

    with pytest.raises(EncodingError, match="Seeded refuses these values"):
        codec.encode(Seeded(1, 2), Seeded)


def test_a_class_that_happens_to_be_called_any_is_a_class():
    named_any = attrs.make_class("Any", {"x": attrs.field(type=int)}, frozen=True)
    for type_, value in ((named_any | None, named_any(1)), (dict[named_any, int], {named_any(1): 2})):
        assert codec.decode(codec.encode(value, type_), type_) == value


def test_annotations_that_lead_nowhere_are_named():
    @attrs.define
    class Lost:
        x: "Nowhere"  # noqa: F821 - that is the point

    with pytest.raises(EncodingError, match="Lost can't be resolved"):
        codec.encode(Lost(1), Lost)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in Python 3.12")
def test_a_type_alias_may_refer_to_itself():
    names = {}
    exec("type Json = None | bool | int | float | str | list[Json] | dict[str, Json]", names)
    value = {"a": [1, 2.5, {"b": None, "c": True}]}
    assert text(codec.encode(value, names["Json"])) == '{"a":[1,2.5,{"b":null,"c":true}]}'
    assert codec.decode(codec.encode(value, names["Json"]), names["Json"]) == value
    assert text(codec.encode(value, names["Json"] | None)) == text(codec.encode(value, names["Json"]))


def test_type_variables_stand_for_their_bounds():
    bounded, either = TypeVar("bounded", bound=Color), TypeVar("either", int, str)
    for type_, value in ((list[bounded], [Color.RED]), (dict[str, either], {"a": 1, "b": "x"})):
        assert codec.decode(codec.encode(value, type_), type_) == value


def test_a_constructor_that_changes_its_argument_is_refused():
    @attrs.define
    class Doubled:
        x: int = attrs.field(converter=lambda x: x * 2)

    with pytest.raises(EncodingError) as caught:
        codec.encode(Doubled(1), Doubled)
    assert caught.value.path == "x"


@pytest.mark.parametrize("type_", [list[int], list[Any], Any], ids=label)
def test_a_constructor_that_changes_a_list_in_place_is_refused_and_the_value_stays(type_):
    @dataclass
    class Sorted:
        names: type_

        def __post_init__(self):
            self.names.sort()

    value = Sorted([1, 2])
    assert codec.decode(codec.encode(value, Sorted), Sorted) == value
    value.names = [2, 1]
    with pytest.raises(EncodingError, match="its constructor changes this field") as caught:
        codec.encode(value, Sorted)
    assert caught.value.path == "names"
    assert value.names == [2, 1]


@pytest.mark.parametrize("type_", [Any, dict, dict[str, Any]], ids=label)
@pytest.mark.parametrize("odd", [(), (1,), Mood.GLAD, Steps.ONE, ID, orjson.Fragment(b"1"), {1: 2}, {Mood.GLAD: 2}])
@pytest.mark.parametrize(
    "around",
    [
        lambda odd: {"a": odd},
        lambda odd: {"a": [{"b": 1.5, "c": None}, {"b": odd, "c": None}]},
        lambda odd: {"a": [odd, odd]},
        lambda odd: {"a": [[1], [odd]]},
        lambda odd: {"a": [1, "b", None, 2.5, {"c": 1}, odd]},
    ],
)
def test_what_the_json_writer_takes_and_json_does_not_give_back_is_refused(type_, odd, around):
    with pytest.raises(EncodingError):
        codec.encode(around(odd), type_)


@pytest.mark.parametrize("type_", [Any, dict[str, Any]], ids=label)
@pytest.mark.parametrize("around", [lambda x: {"a": x}, lambda x: {"a": [x, 1.0]}, lambda x: {"a": [None, x, "null"]}])
def test_numbers_that_json_lacks_come_back_from_any_depth(type_, around):
    for number in (math.inf, -math.inf):
        assert codec.decode(codec.encode(around(number), type_), type_) == around(number)
    assert "__NAN__" in text(codec.encode(around(math.nan), type_))


@pytest.mark.parametrize(
    ("type_", "json", "path", "says"),
    [
        (int, '"3"', "", "str where int is declared"),
        (int, "1.0", "", "float where int is declared"),
        (int, "1e30", "", "float where int is declared"),
        (int, "null", "", "None where int is declared"),
        (float, '"1.5"', "", "str where float is declared"),
        (datetime, '"yesterday"', "", "'yesterday' is not a datetime"),
        (datetime, '"2024-01-01T00:00:00+00:00[No/Where]"', "", "is not a datetime"),
        (datetime, '"2024-01-01T00:00:00[Europe/Berlin]"', "", "is not a datetime"),
        (time, '"09:00:00[No/Where]"', "", "is not a time"),
        (time, '"09:00:00[]"', "", "is not a time"),
        (timedelta, '"PT"', "", "is not a timedelta"),
        (timedelta, '"P999999999999D"', "", "is not a timedelta"),
        (timedelta, '"P999999999D"', "", None),
        (Decimal, '"x"', "", "is not a Decimal"),
        (bytes, '"a"', "", "is not a bytes"),
        (Color, '"blue"', "", "'blue' where Color is declared"),
        (Color, "[]", "", "list where Color is declared"),
        (Point, '"NOWHERE"', "", "'NOWHERE' where Point is declared"),
        (Access, "64", "", "not a combination of Access"),
        (list[int], '[1,"a"]', "[1]", "str where int is declared"),
        (list[int], "{}", "", "dict where list[int] is declared"),
        (set[Any], "[[]]", "", "unhashable"),
        (dict[int, int], '{"a":1}', "key('a')", "is not a key of type int"),
        (dict[tuple[Any, ...], int], '{"[[]]":1}', "key('[[]]')", "unhashable"),
        (Item, '{"sku":"a"}', "price", "nothing where Item requires a value"),
        (Order, '{"id":1,"items":[{"sku":"a","price":true}]}', "items[0].price", "bool where Decimal is declared"),
        (Card | Cash, '{"code":"4"}', "", "an object without '$type'"),
        (Card | Cash, '{"number":"4","amount":1}', "", "an object without '$type'"),
        (Card | Cash, '{"$type":"Cheque"}', "", "the tag 'Cheque'"),
        (Card | Cash, '{"$type":"Cash","amount":"x"}', "amount", "str where int is declared"),
        (Card | Cash, "3", "", "int where Card | Cash is declared"),
        (UUID | str, '{"$type":"UUID"}', "", "without 'value'"),
        (Row, "[]", "", "0 elements where Row is declared"),
        (Movie, "{}", "title", "nothing where Movie requires a value"),
        (object, "nope", "", "not JSON"),
    ],
    ids=label,
)
def test_data_that_does_not_fit_is_refused_with_the_path(type_, json, path, says):
    if says is None:
        codec.decode(stored(json), type_)
        return
    with pytest.raises(DecodingError) as caught:
        codec.decode(stored(json), type_)
    assert caught.value.path == path
    assert says in str(caught.value)


def test_no_data_is_none():
    assert codec.encode(None, int | None) == Value()
    for nothing in (Value(), Value({}, ""), Value({}, None), stored("null")):
        assert codec.decode(nothing) is None
        assert codec.decode(nothing, int | None) is None


def test_data_of_another_codec_is_refused_by_its_name():
    with pytest.raises(DecodingError, match="application/x-secret"):
        codec.decode(Value({"content-type": "application/x-secret"}, "aaaa"))
    assert codec.decode(Value({"content-type": "application/json; charset=utf-8"}, stored("1").data)) == 1


def test_unknown_fields_are_passed_over_and_missing_ones_take_their_defaults():
    assert codec.decode(stored('{"value":1,"colour":"red"}'), Node) == Node(1)


def test_a_class_with_a_validator_that_refuses_is_a_decoding_error():
    @attrs.define
    class Positive:
        x: int = attrs.field(validator=attrs.validators.gt(0))

    with pytest.raises(DecodingError, match="Positive refuses these values"):
        codec.decode(stored('{"x":0}'), Positive)


def test_values_that_are_read_twice_share_nothing():
    value = codec.encode({"a": [1]}, dict[str, list[int]])
    for type_ in (Any, dict[str, list[int]], dict[str, Any]):
        first = codec.decode(value, type_)
        first["a"].append(2)
        assert codec.decode(value, type_) == {"a": [1]}


def test_encoding_changes_nothing_of_the_value():
    value = {"a": [1, {"b": {2, 1}}]}
    codec.encode(value, dict[str, list[int | dict[str, set[int]]]])
    assert value == {"a": [1, {"b": {2, 1}}]}


def test_a_named_tuple_without_types_holds_plain_json():
    plain = namedtuple("plain", ["a"])  # noqa: PYI024 - an untyped one is what is tested
    assert codec.decode(codec.encode(plain([1]), plain), plain) == plain([1])
    with pytest.raises(EncodingError):
        codec.encode(plain((1,)), plain)


def test_two_spellings_of_a_union_write_the_same_bytes():
    for type_ in (list[int] | list[str], list[str] | list[int]):
        assert text(JsonCodec().encode([], type_)) == '{"$type":"list[int]","value":[]}'


def test_a_fraction_of_a_few_characters_does_not_fill_the_memory():
    codec = JsonCodec()
    assert codec.decode(codec.encode("0.25", str), Fraction) == Fraction(1, 4)
    for text in ("1e1000000000", "1E9", "1/3e5", "nan", " 1", "1/0"):
        with pytest.raises(DecodingError):
            codec.decode(codec.encode(text, str), Fraction)
