from __future__ import annotations

import base64
import pickle

import orjson
import pytest

from resonate import JsonCodec
from resonate.core.engine.identity import CALL
from resonate.core.insight.payloads import callee, failure
from resonate.core.payload import Opaque, brief, peek, shown
from resonate.core.protocol.records import NO_VALUE, Value


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_json_is_read_in_base64_and_as_it_is():
    assert peek(NO_VALUE) is None
    assert peek(JsonCodec().encode({"a": [1, 2.5, None]})) == {"a": [1, 2.5, None]}
    assert peek(Value(data='{"a": 1}')) == {"a": 1}
    assert peek(Value({"content-type": "application/json; charset=utf-8"}, encoded("[1]"))) == [1]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("data was run",))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Value(data="no json"), "no JSON, 7 characters"),
        (Value(data=encoded("no json")), "no JSON, 12 characters"),
        (Value({"content-type": "application/x-pickle"}, "gASV"), "application/x-pickle, 4 characters"),
        (
            Value({"content-type": "application/json", "content-encoding": "aes-gcm"}, "Zm9v"),
            "content-encoding: aes-gcm",
        ),
    ],
)
def test_what_is_no_plain_json_is_named_and_not_read(value, reason):
    found = peek(value)
    assert isinstance(found, Opaque)
    assert found.reason.startswith(reason)
    assert failure(value) == f"[{found.reason}]"
    assert callee(value) == (None, None)


@pytest.mark.parametrize("depth", [190, 245, 253, 900])
def test_what_is_nested_too_deeply_to_be_written_again_is_named(depth):
    deep = Value(data=encoded("[" * depth + "]" * depth))
    found = peek(deep)
    if isinstance(found, Opaque):
        assert shown(found) == f"[JSON that is nested too deeply, {2 * depth} bytes]"
    else:
        assert orjson.dumps({"promises": [{"value": found}]})
        assert shown(found) == "[" * depth + "]" * depth
    assert isinstance(found, Opaque) == (depth > 250)
    assert failure(deep).startswith("[")


def test_a_pickle_is_never_run():
    data = base64.b64encode(pickle.dumps(Bomb())).decode()
    assert isinstance(peek(Value(data=data)), Opaque)
    assert isinstance(peek(Value({"content-type": "application/octet-stream"}, data)), Opaque)


@pytest.mark.parametrize(
    ("param", "called"),
    [
        (Value({CALL: "ship@3"}), ("ship", 3)),
        (Value({CALL: "ship"}), ("ship", None)),
        (Value({CALL: "team@ship"}), ("team@ship", None)),
        (Value({CALL: "@3"}), ("@3", None)),
        (Value(data='{"func": "ship", "version": 2, "args": []}'), ("ship", 2)),
        (Value(data='{"func": "ship", "version": 0}'), ("ship", None)),
        (Value(data='{"func": 7, "version": "2"}'), (None, None)),
        (Value(data="[1]"), (None, None)),
        (NO_VALUE, (None, None)),
    ],
)
def test_the_function_that_is_called(param, called):
    assert callee(param) == called


def test_a_failure_is_told_in_a_line():
    assert failure(JsonCodec().encode_error(ValueError("no\nsuch  order"))) == "ValueError: no such order"
    assert failure(Value(data='{"message": "plain"}')) == "plain"
    assert failure(Value(data='{"message": 7}')) == '{"message":7}'
    assert failure(Value(data='"text"')) == '"text"'
    assert failure(NO_VALUE) == "no reason given"
    assert brief("x" * 400) == "x" * 300 + "..."
