"""What the TypeScript and the official Python SDK write is read, and what we write in their place is the same.

The files in `golden` hold what went over the wire, byte for byte. They were made by `tests/interop/capture_golden.py`:
it runs both SDKs (those that `make interop` installs; each file names the versions) against the in-process server of
the TypeScript SDK behind a recorder, and has each SDK's codec write a list of values. Requests of kinds that no SDK
makes were made by the script itself, so that there is a reply of each kind; searches are the exception, since that
server has none.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest

from resonate import ApplicationError, JsonCodec
from resonate.core.protocol.records import Value
from resonate.core.protocol.requests import Rejection
from resonate.core.protocol.wire import (
    decode_message,
    decode_reply,
    decode_request,
    encode_message,
    encode_reply,
    encode_request,
)
from resonate.core.values import UNTYPED, Call

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def values_of(sdk: str) -> dict[str, Value]:
    found = golden(f"values-{sdk}.json")["values"]
    return {name: Value(each["headers"] or {}, each["data"]) for name, each in found.items()}


TYPESCRIPT, PYTHON = values_of("typescript"), values_of("python")
EXCHANGES = golden("exchanges.json")["exchanges"]
MESSAGES = [each["message"] for each in golden("messages.json")["messages"]]
codec = JsonCodec()

# ---------------------------------------------------------------- values


@attrs.frozen
class Item:
    sku: str
    cents: int


TEXT = 'héllo "you" \\ / \n \u2028 🙂'
BOTH: dict[str, tuple[Any, Any]] = {
    "true": (True, bool),
    "a whole number": (42, int),
    "a negative number": (-7, int),
    "a fraction": (0.1, float),
    "empty text": ("", str),
    "text": (TEXT, str),
    "list": ([1, "two", None, [3.5]], Any),
    "object": ({"b": 1, "a": {"deep": [True]}}, Any),
}
INFINITE = {"limits": [float("-inf"), 1, float("inf")]}
FROM_TYPESCRIPT = BOTH | {
    "the largest safe number": (2**53 - 1, int),
    "infinity": (float("inf"), float),
    "negative infinity": (float("-inf"), float),
    "infinity inside": (INFINITE, Any),
}
FROM_PYTHON = BOTH | {
    "the largest whole number": (2**64 - 1, int),
    "a tuple": ((1, "a"), tuple[int, str]),
    "a set": ({7}, set[int]),
    "bytes": (b"\x01\x02", bytes),
    "a date": (date(2026, 1, 2), date),
    "a uuid": (UUID(int=7), UUID),
    "a decimal": (Decimal("19.90"), Decimal),
    "a dataclass": (Item("b-12", 1990), Item),
}
KNOWN = {"typescript": FROM_TYPESCRIPT, "python": FROM_PYTHON}
CASES = [(sdk, name, *case) for sdk, known in KNOWN.items() for name, case in known.items()]


@pytest.mark.parametrize(("sdk", "name", "value", "type_"), CASES, ids=[f"{case[0]}, {case[1]}" for case in CASES])
def test_a_value_is_read_and_written_byte_for_byte(sdk, name, value, type_):
    stored = values_of(sdk)[name]
    back = codec.decode(stored, type_)
    assert (back, type(back)) == (value, type(value))
    assert codec.encode(value, type_).data == stored.data


@pytest.mark.parametrize(
    ("sdk", "name", "value", "type_"),
    [
        ("typescript", "undefined", None, Any),
        ("typescript", "null", None, Any),
        ("typescript", "not a number", None, Any),  # JSON.stringify makes null of it
        ("typescript", "a large number", 1e21, float),
        ("typescript", "date", datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), datetime),
        ("typescript", "map", {}, Any),
        ("python", "none", None, Any),
        ("python", "infinity", None, Any),  # msgspec makes null of it
        ("python", "infinity inside", {"limits": [None, 1, None]}, Any),
        ("python", "a large number", 1e21, float),
        ("python", "a datetime", datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), datetime),
        ("python", "a duration", timedelta(seconds=3600.5), timedelta),
    ],
)
def test_a_value_that_has_several_spellings_is_read(sdk, name, value, type_):
    back = codec.decode(values_of(sdk)[name], type_)
    assert (back, type(back)) == (value, type(value))
    assert codec.decode(codec.encode(back, type_), type_) == back


def test_every_golden_value_is_asked_for():
    for sdk, known in KNOWN.items():
        rest = values_of(sdk).keys() - known.keys()
        assert all("error" in name or name in OTHERS for name in rest), rest


OTHERS = {
    "undefined", "null", "none", "not a number", "a large number", "date", "map", "bytes", "infinity",
    "infinity inside", "a datetime", "a duration", "call",
}  # fmt: skip


# ---------------------------------------------------------------- failures

ERRORS = [
    ("typescript", "error", "Error", "boom"),
    ("typescript", "a type's error", "TypeError", "no such thing"),
    ("typescript", "an error of one's own", "OutOfStock", "b-12 is out of stock"),
    ("typescript", "an error with a cause", "Error", "outer"),
    ("python", "error", "", "boom"),
    ("python", "a key's error", "", "'b-12'"),
    ("python", "an error of one's own", "", "b-12 is out of stock"),
    ("python", "a group of errors", "", "all failed (2 sub-exceptions)"),
]


@pytest.mark.parametrize(("sdk", "name", "type_name", "message"), ERRORS)
def test_an_error_is_read_as_what_it_was_called_and_said(sdk, name, type_name, message):
    error = codec.decode_error(values_of(sdk)[name])
    assert type(error) is ApplicationError
    assert (error.name, error.message) == (type_name, message)
    if sdk == "typescript":
        assert "shop.mjs:3:9" in error.__notes__[0]
    else:
        assert "__py_pickle" not in str(error.details)  # nobody unpickles it, and nobody is shown it


def test_a_group_of_errors_is_a_group():
    group = codec.decode_error(TYPESCRIPT["a group of errors"])
    assert isinstance(group, ExceptionGroup)
    assert group.message == "all failed"
    assert [str(each) for each in group.exceptions] == ["Error: one", "RangeError: two"]


@pytest.mark.parametrize("name", ["error", "a type's error", "an error of one's own", "a group of errors"])
def test_what_they_read_of_an_error_is_written_alike(name):
    """The members that the other SDKs read are the same after a passage through this one."""
    theirs = json.loads(base64.b64decode(TYPESCRIPT[name].data or ""))
    ours = json.loads(base64.b64decode(codec.encode_error(codec.decode_error(TYPESCRIPT[name])).data or ""))

    def read(error: Any) -> Any:
        shown = error["message"], error["__type"], error.get("stack")
        return *shown, error["name"].replace("ExceptionGroup", "AggregateError"), [*map(read, error.get("errors", []))]

    assert read(ours) == read(theirs)


def test_an_error_in_a_value_is_a_value():
    value = codec.decode(TYPESCRIPT["an error inside"])
    assert (value["at"], value["failed"]["message"]) == (3, "boom")


# ---------------------------------------------------------------- calls


@pytest.mark.parametrize("sdk", ["typescript", "python"])
def test_a_call_is_read(sdk):
    call = codec.decode_call(values_of(sdk)["call"], lambda _name, _version: UNTYPED)
    assert call == Call(func="charge", args=("42", 1999), version=1)


def test_a_call_is_written_byte_for_byte():
    call = Call(func="charge", args=("42", 1999), version=1)
    assert codec.encode_call(call, UNTYPED).data == TYPESCRIPT["call"].data


# ---------------------------------------------------------------- requests and replies

KINDS = {
    "promise.get", "promise.create", "promise.settle", "promise.register_callback", "promise.register_listener",
    "promise.search", "task.get", "task.create", "task.acquire", "task.fence", "task.heartbeat", "task.suspend",
    "task.fulfill", "task.release", "task.halt", "task.continue", "task.search", "schedule.create", "schedule.get",
    "schedule.delete", "schedule.search",
}  # fmt: skip


def test_there_is_a_request_and_a_reply_of_each_kind():
    assert {json.loads(each["request"])["kind"] for each in EXCHANGES} == KINDS
    answered = {json.loads(each["reply"])["kind"] for each in EXCHANGES if '"status":200' in each["reply"]}
    assert answered == KINDS - {"promise.search", "task.search", "schedule.search"}  # that server has no searches


def told(exchange: dict[str, str]) -> str:
    reply = json.loads(exchange["reply"])
    return f"{exchange['by']}, {reply['kind']}, {reply['head']['status']}"


def without_empty(value: Any) -> Any:
    """Leave out what means nothing: null, and headers, params and values that hold nothing."""
    if isinstance(value, list):
        return [without_empty(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: without_empty(each) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each not in (None, {}, "")}


@pytest.mark.parametrize("exchange", EXCHANGES, ids=told)
def test_a_request_is_read_and_written_with_the_same_meaning(exchange):
    incoming = decode_request(exchange["request"])
    assert not isinstance(incoming.request, Rejection)
    again = encode_request(incoming.request, incoming.corr_id)
    assert decode_request(again).request == incoming.request
    assert without_names(without_empty(json.loads(again))) == without_names(
        without_empty(json.loads(exchange["request"]))
    )


def meaning(envelope: str | bytes) -> Any:
    return without_names(without_empty(json.loads(envelope)))


def without_names(envelope: Any) -> Any:
    """Leave out what names a request for logs and routing: inner correlation ids, and the origin in a head."""
    if isinstance(envelope, list):
        return [without_names(each) for each in envelope]
    if not isinstance(envelope, dict):
        return envelope
    return {name: without_names(each) for name, each in envelope.items() if name != "head"}


@pytest.mark.parametrize("exchange", EXCHANGES, ids=told)
def test_a_reply_is_read_and_written_with_the_same_meaning(exchange):
    incoming = decode_request(exchange["request"])
    assert not isinstance(incoming.request, Rejection)
    reply = decode_reply(incoming.request, incoming.corr_id, exchange["reply"])
    theirs = json.loads(exchange["reply"])
    if isinstance(reply, Rejection):
        assert reply.status == theirs["head"]["status"] >= 400
        return
    assert theirs["head"]["status"] in {200, 300}
    again = encode_reply(incoming, reply)
    assert decode_reply(incoming.request, incoming.corr_id, again) == reply
    assert meaning(again) == meaning(exchange["reply"])


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_read_and_written_with_the_same_meaning(message):
    read = decode_message(message)
    assert not isinstance(read, Rejection)
    assert decode_message(encode_message(read)) == read
    assert without_empty(json.loads(message)["data"]) == without_empty(json.loads(encode_message(read))["data"])


def test_the_params_and_values_in_them_are_read():
    params = values = 0
    for exchange in EXCHANGES:
        incoming = decode_request(exchange["request"])
        action = getattr(incoming.request, "action", incoming.request)
        param, value = getattr(action, "param", Value()), getattr(action, "value", Value())
        if param.data and b'"func":""' not in base64.b64decode(param.data):
            params += 1
            if base64.b64decode(param.data).startswith(b"{"):
                assert codec.decode_call(param, lambda _name, _version: UNTYPED).func
        if value.data:
            values += 1
            if getattr(action, "state", None) == "resolved":
                codec.decode(value)
            else:
                assert "reason" not in str(codec.decode_error(value))
    assert params >= 10
    assert values >= 10
