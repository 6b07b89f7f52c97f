"""What stands on the wire: others read it, and what others write is read."""

import base64
import json
import math
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from resonate.adapters.codecs.json import JsonCodec
from resonate.core.protocol.records import Value
from resonate.core.values import UNTYPED, Call, Signature
from resonate.errors import ApplicationError, DecodingError, EncodingError
from tests.unit.codecs.samples import BERLIN, Card, Cash, Color, Item, Order, UserId, label

WEST = timezone(timedelta(hours=-5))
codec = JsonCodec()


def written(value: Value) -> Any:
    return json.loads(base64.b64decode(value.data or ""))


def stored(data: Any) -> Value:
    return Value({}, base64.b64encode(json.dumps(data).encode()).decode())


@pytest.mark.parametrize(
    ("value", "type_", "wire"),
    [
        ({"a": 1}, Any, {"a": 1}),
        (math.inf, float, "__INF__"),
        ([-math.inf], Any, ["__NEG_INF__"]),
        (b"ab", bytes, "YWI="),
        (Decimal("1.10"), Decimal, "1.10"),
        (timedelta(days=-1, hours=2), timedelta, "-P0DT79200S"),
        (datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), datetime, "2024-01-02T03:04:05.000006+00:00"),
        (datetime(2024, 1, 2, tzinfo=BERLIN), datetime, "2024-01-02T00:00:00+01:00[Europe/Berlin]"),
        (time(9, tzinfo=BERLIN), time, "09:00:00[Europe/Berlin]"),
        (time(9, tzinfo=ZoneInfo("Etc/GMT+5")), time, "09:00:00-05:00[Etc/GMT+5]"),
        (time(9, tzinfo=ZoneInfo("UTC")), time, "09:00:00+00:00"),
        ({"b", "a"}, set[str], ["a", "b"]),
        ({1: Color.RED}, dict[int, Color], {"1": "red"}),
        (Cash(1), Card | Cash, {"$type": "Cash", "amount": 1}),
        (Order(UserId(1), [Item("a", Decimal(1))]), Order,
         {"id": 1, "items": [{"sku": "a", "price": "1"}], "placed": None, "_secret": ""}),
    ],
    ids=label,
)  # fmt: skip
def test_is_written_as(value, type_, wire):
    assert written(codec.encode(value, type_)) == wire


def test_headers_name_the_format():
    assert codec.encode(1, int).headers == {"content-type": "application/json"}


@pytest.mark.parametrize(("wire", "value"), [("09:00:00", time(9)), ("09:00:00-05:00", time(9, tzinfo=WEST))])
def test_a_time_without_a_zones_name_is_read(wire, value):
    back = codec.decode(stored(wire), time)
    assert (back, back.tzinfo) == (value, value.tzinfo)


def test_infinity_from_another_sdk_is_read():
    assert codec.decode(stored(["__INF__", "__NEG_INF__"])) == [math.inf, -math.inf]
    assert codec.decode(stored("__INF__"), float) == math.inf
    assert codec.decode(stored("__INF__"), str) == "__INF__"


def test_a_whole_number_from_javascript_is_a_float_where_one_is_declared():
    back = codec.decode(stored(3), float)
    assert (back, type(back)) == (3.0, float)


def test_an_untagged_object_is_the_only_class_it_can_be():
    assert codec.decode(stored({"amount": 1}), Cash | UUID | str) == Cash(1)


# ---------------------------------------------------------------- calls

CHARGE = Signature(positional=(str, Item), names=("order", "item"), keyword={"item": Item, "tip": int}, returns=str)


def types_of(signature):
    return lambda _func, _version: signature


def test_a_call_round_trips_by_its_types():
    call = Call(func="charge", args=("a", Item("b", Decimal("1.5"))), kwargs={"tip": 3}, version=2)
    value = codec.encode_call(call, CHARGE)
    assert written(value) == {
        "func": "charge",
        "args": ["a", {"sku": "b", "price": "1.5"}],
        "kwargs": {"tip": 3},
        "version": 2,
    }
    assert codec.decode_call(value, types_of(CHARGE)) == call


def test_a_bare_call_is_read_by_strict_readers():
    """The TypeScript SDK refuses a null version, the Python SDK too: what is not set is not written."""
    assert written(codec.encode_call(Call(func="f", args=(1,)), UNTYPED)) == {"func": "f", "args": [1]}


@pytest.mark.parametrize(
    "data",
    [
        {"func": "f", "args": [1]},
        {"func": "f", "args": [1], "kwargs": None, "version": None},
        {"func": "f", "args": [1], "kwargs": {}, "version": 0},
        {"func": "f", "args": [1], "retry": {"type": "never"}},
    ],
    ids=label,
)
def test_calls_of_other_sdks_are_read(data):
    assert codec.decode_call(stored(data), types_of(UNTYPED)) == Call(func="f", args=(1,))


def test_a_call_without_arguments_is_read():
    assert codec.decode_call(stored({"func": "f"}), types_of(UNTYPED)) == Call(func="f")
    assert codec.decode_call(stored({"func": "f", "args": None}), types_of(UNTYPED)) == Call(func="f")


def test_star_arguments_have_their_types():
    signature = Signature(positional=(int,), keyword={"a": int}, rest=Color, extra=set[int])
    call = Call(func="f", args=(1, Color.RED, Color.GREEN), kwargs={"a": 1, "b": {1, 2}})
    assert codec.decode_call(codec.encode_call(call, signature), types_of(signature)) == call


def test_the_name_and_version_choose_the_types():
    asked = []

    def signature_of(func, version):
        asked.append((func, version))
        return UNTYPED

    codec.decode_call(stored({"func": "f", "args": [], "version": 3}), signature_of)
    assert asked == [("f", 3)]


def test_what_signature_of_raises_passes_through():
    def signature_of(_func, _version):
        raise LookupError("unknown")

    with pytest.raises(LookupError, match="unknown"):
        codec.decode_call(stored({"func": "f"}), signature_of)


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (Call(func="f", args=("a", Item("b", 1.5))), "item.price"),
        (Call(func="f", args=("a",), kwargs={"tip": "x"}), "tip"),
        (Call(func="f", args=("a",), kwargs={"item": Item("b", 2)}), "item.price"),
        (Call(func="f", args=("a",), kwargs={"more": 1}), "more"),
        (Call(func="f", args=("a", Item("b", Decimal(1)), 3)), "args[2]"),
    ],
    ids=label,
)
def test_a_call_that_does_not_fit_is_refused(call, path):
    with pytest.raises(EncodingError) as caught:
        codec.encode_call(call, CHARGE)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"a call of f: {path} can't be written: ")


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"func": "f", "args": ["a", {"sku": "b", "price": 1.5}]}, "item.price"),
        ({"func": "f", "args": ["a", "b", "c"]}, "item"),
        ({"func": "f", "args": {"a": 1}}, "args"),
        ({"func": "f", "kwargs": [1]}, "kwargs"),
        ({"func": "f", "kwargs": {"more": 1}}, "more"),
        ({"func": 3}, "func"),
        ({"func": "f", "version": "1"}, "version"),
        ({}, "func"),
        ([], ""),
        (None, ""),
    ],
    ids=label,
)
def test_a_stored_call_that_does_not_fit_is_refused(data, path):
    with pytest.raises(DecodingError) as caught:
        codec.decode_call(stored(data), types_of(CHARGE))
    assert caught.value.path == path


# ---------------------------------------------------------------- failures of others


def test_a_failure_of_the_typescript_sdk():
    error = codec.decode_error(
        stored({"__type": "error", "message": "no money", "stack": "TypeError: no money\n at f", "name": "TypeError"})
    )
    assert isinstance(error, ApplicationError)
    assert (error.name, error.message) == ("TypeError", "no money")
    assert error.details == {"stack": "TypeError: no money\n at f"}


def test_a_group_of_failures_of_the_typescript_sdk():
    member = {"__type": "error", "message": "a", "name": "Error"}
    error = codec.decode_error(
        stored({"__type": "aggregate_error", "message": "all", "name": "AggregateError", "errors": [member, "b"]})
    )
    assert isinstance(error, ExceptionGroup)
    assert [str(each) for each in error.exceptions] == ["Error: a", "b"]


def test_a_failure_of_the_python_sdk_is_not_unpickled():
    pickled = base64.b64encode(b"cbuiltins\nexit\n(tR.").decode()
    error = codec.decode_error(stored({"__type": "error", "message": "boom", "__py_pickle": pickled}))
    assert type(error) is ApplicationError
    assert (error.message, error.details) == ("boom", None)


@pytest.mark.parametrize(
    ("data", "message", "details"),
    [
        (None, "the promise was rejected without a reason", None),
        ("nope", "nope", "nope"),
        ([1], "the promise was rejected with a value", [1]),
        ({"code": 3}, "the promise was rejected with a value", {"code": 3}),
    ],
    ids=label,
)
def test_a_promise_rejected_with_something_else(data, message, details):
    error = codec.decode_error(stored(data))
    assert type(error) is ApplicationError
    assert (error.message, error.details) == (message, details)
