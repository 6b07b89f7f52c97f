from __future__ import annotations

import base64
import pickle
import sys
import threading
from dataclasses import dataclass
from decimal import Decimal

import pytest

from resonate.adapters.codecs.choice import Codecs
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.codecs.pickle import PICKLE, PickleCodec
from resonate.core.protocol.records import NO_VALUE, Value
from resonate.core.values import UNTYPED, Call
from resonate.errors import (
    ApplicationError,
    DecodingError,
    EncodingError,
    FunctionNotRegistered,
    NotReadableHere,
    UsageError,
)

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
CODEC = PickleCodec(keys={"2026": KEY})
RAN: list[str] = []


def run(what: str) -> None:
    RAN.append(what)


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return (run, ("unpickled",))


@pytest.fixture(autouse=True)
def nothing_ran():
    RAN.clear()


def raw(value: Value) -> bytes:
    return base64.b64decode(value.data)


def as_value(data: bytes, content_type: str = PICKLE) -> Value:
    return Value({"content-type": content_type}, base64.b64encode(data).decode())


@dataclass
class Node:
    name: str
    parent: Node | None = None


def test_values_of_any_class_come_back_without_annotations():
    root = Node("root")
    root.parent = root  # a cycle
    back = CODEC.decode(CODEC.encode(root, at="a"), at="a")
    assert (type(back), back.name, back.parent) == (Node, "root", back)
    for value in ({1: "a"}, (1, 2), {1, 2}, Decimal("1.1"), 2**100, None, float("inf"), object, b"\0"):
        assert CODEC.decode(CODEC.encode(value, at="a"), at="a") == value


# ---------------------------------------------------------------- keys


def test_it_does_not_start_without_a_key_unless_that_is_spelled_out():
    with pytest.raises(UsageError, match="needs a key"):
        PickleCodec()
    for not_quite in (1, "yes", False):
        with pytest.raises(UsageError, match="needs a key"):
            PickleCodec(allow_unsigned=not_quite)
    with pytest.raises(UsageError, match="not both"):
        PickleCodec(key=KEY, keys={"a": KEY})
    with pytest.raises(UsageError, match="does away"):
        PickleCodec(key=KEY, allow_unsigned=True)
    with pytest.raises(UsageError, match="5 bytes"):
        PickleCodec(key=b"short")
    with pytest.raises(UsageError, match="at least one"):
        PickleCodec(keys={})
    unsigned = PickleCodec(allow_unsigned=True)
    assert unsigned.decode(unsigned.encode({1, 2})) == {1, 2}


def test_keys_rotate():
    old, new = PickleCodec(keys={"1": KEY}), PickleCodec(keys={"2": OTHER, "1": KEY})
    one, two = old.encode([1], at="a"), new.encode([1], at="a")
    assert new.decode(one, at="a") == new.decode(two, at="a") == [1]
    assert (new.key_id(one), new.key_id(two), new.key_id(NO_VALUE)) == ("1", "2", None)
    with pytest.raises(DecodingError, match="the key '2', which is not among the keys here: '1'"):
        old.decode(two, at="a")


def test_no_text_shows_a_key():
    key = b"SECRETSECRETSECRETSECRETSECRETSE"
    codec = PickleCodec(key=key)
    value = codec.encode([1], at="a")
    with pytest.raises(DecodingError) as caught:
        codec.decode(value, at="b")
    for text in (repr(codec), repr(PickleCodec(allow_unsigned=True)), str(caught.value), repr(vars(caught.value))):
        assert "SECRET" not in text
        assert key.hex() not in text


# ---------------------------------------------------------------- nothing is unpickled before it is verified


def forged(body: bytes) -> list[Value]:
    signed = raw(CODEC.encode([1], at="a"))
    return [
        as_value(body),
        as_value(b"\0" + body),
        as_value(b"\1" + body),
        as_value(signed[: 2 + 4] + bytes(32) + body),
        as_value(signed[: 2 + 4 + 32] + body),
        as_value(raw(PickleCodec(keys={"2026": OTHER}).encode(Evil(), at="a"))),
        as_value(raw(PickleCodec(keys={"2025": KEY}).encode(Evil(), at="a"))),
        as_value(raw(CODEC.encode(Evil(), at="b"))),
        as_value(raw(CODEC.encode(Evil()))),
        as_value(raw(CODEC.encode_call(Call(func="f", args=(Evil(),)), UNTYPED, at="a"))),
        as_value(raw(CODEC.encode(Evil(), at="a")), "application/json"),
        as_value(raw(CODEC.encode(Evil(), at="a")), "application/x-pickle"),
        Value({}, CODEC.encode(Evil(), at="a").data),
        Value({"content-type": PICKLE, "content-encoding": "x"}, CODEC.encode(Evil(), at="a").data),
    ]


def test_what_was_forged_moved_or_written_by_another_codec_is_not_unpickled():
    for value in forged(pickle.dumps(Evil())):
        with pytest.raises(DecodingError):
            CODEC.decode(value, at="a")
        with pytest.raises(DecodingError):
            CODEC.decode_call(value, lambda *_: UNTYPED, at="c")
        assert isinstance(CODEC.decode_error(value, at="a"), ApplicationError | NotReadableHere)
    assert RAN == []
    CODEC.decode(CODEC.encode(Evil(), at="a"), at="a")
    assert RAN == ["unpickled"]  # so it would have been seen


def test_every_changed_byte_is_noticed():
    data = raw(CODEC.encode(Evil(), at="a"))
    for index in range(len(data)):
        for changed in (data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :], data[:index]):
            with pytest.raises(DecodingError):
                CODEC.decode(as_value(changed), at="a")
    assert RAN == []


def test_a_signed_pickle_is_not_read_without_a_key_and_an_unsigned_one_not_with_one():
    unsigned = PickleCodec(allow_unsigned=True)
    with pytest.raises(DecodingError, match="no key here"):
        unsigned.decode(CODEC.encode(Evil(), at="a"), at="a")
    with pytest.raises(DecodingError, match="is not signed"):
        CODEC.decode(unsigned.encode(Evil(), at="a"), at="a")
    assert RAN == []


def test_beside_json_each_reads_its_own():
    codec = Codecs(CODEC, JsonCodec())
    assert codec.decode(JsonCodec().encode([1]), at="a") == [1]
    assert codec.decode(codec.encode({1}, at="a"), at="a") == {1}
    with pytest.raises(DecodingError, match="not base64"):
        codec.decode(Value({"content-type": PICKLE}, "e30"), at="a")


# ---------------------------------------------------------------- calls


def test_a_call_names_its_function_before_anything_is_unpickled():
    value = CODEC.encode_call(Call(func="ship", args=(Evil(),), version=2), UNTYPED, at="a")
    assert b'{"func": "ship", "version": 2}\n' in raw(value)

    def unknown(func, version):
        assert (func, version) == ("ship", 2)
        raise FunctionNotRegistered("no such function")

    with pytest.raises(FunctionNotRegistered):
        CODEC.decode_call(value, unknown, at="a")
    assert RAN == []


def test_calls_come_back_with_any_argument_and_any_name():
    for call in (
        Call(func="f"),
        Call(func="mod.f\n é", args=(1, {2}), kwargs={"x": Node("n")}, version=3),
        Call(func="", kwargs={"a": None}),
    ):
        written = CODEC.encode_call(call, UNTYPED, at="a")
        assert CODEC.decode_call(written, lambda *_: UNTYPED, at="a") == call


def test_what_is_signed_and_no_call_is_refused():
    write = PickleCodec(allow_unsigned=True)
    for head in (
        b"",
        b"{}",
        b"[]",
        b'{"func":1}',
        b'{"func":"f","version":"1"}',
        b'{"func":"f","version":true}',
        b"\xff",
    ):
        with pytest.raises(DecodingError):
            write.decode_call(as_value(b"\0" + head + b"\n" + pickle.dumps(((), {}))), lambda *_: UNTYPED)
    for body in (1, (), ([], {}), ((), []), ((), {}, 1), "ab"):
        with pytest.raises(DecodingError, match="no arguments"):
            write.decode_call(as_value(b'\0{"func":"f"}\n' + pickle.dumps(body)), lambda *_: UNTYPED)


# ---------------------------------------------------------------- what fails


def test_what_can_not_be_pickled_is_an_encoding_error():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value in (lambda: None, threading.Lock(), (x for x in ()), deep):
        with pytest.raises(EncodingError, match="pickled"):
            CODEC.encode(value, at="a")
        with pytest.raises(EncodingError, match="pickled"):
            CODEC.encode_call(Call(func="f", args=(value,)), UNTYPED, at="a")
    while deep:
        deep = deep.pop()


class Fragile:
    def __setstate__(self, _state):
        raise KeyError("changed since")

    def __getstate__(self):
        return {"x": 1}


class Gone:
    pass


def test_what_can_not_be_unpickled_is_a_decoding_error(monkeypatch):
    with pytest.raises(DecodingError, match="KeyError"):
        CODEC.decode(CODEC.encode(Fragile(), at="a"), at="a")
    gone = CODEC.encode(Gone(), at="a")
    monkeypatch.delattr(sys.modules[__name__], "Gone")
    with pytest.raises(DecodingError, match="keep its old name as an alias"):
        CODEC.decode(gone, at="a")
    unsigned = PickleCodec(allow_unsigned=True)
    for body in (b"", b"garbage", b"\x80\x05cnowhere\nGone\n.", b"\x80\x05."):
        with pytest.raises(DecodingError):
            unsigned.decode(as_value(b"\0" + body))


class Declined(Exception):
    pass


def test_failures_are_json_and_signed():
    value = CODEC.encode_error(ValueError("no"), at="a")
    assert b'"message":"no"' in raw(value)
    assert repr(CODEC.decode_error(value, at="a")) == "ValueError('no')"
    assert isinstance(CODEC.decode_error(CODEC.encode_error(Declined("x"), at="a"), at="a"), ApplicationError)
    codec = PickleCodec(key=KEY)
    assert codec.register_error(Declined) is Declined
    assert isinstance(codec.decode_error(codec.encode_error(Declined("x"), at="a"), at="a"), Declined)
    moved = CODEC.decode_error(value, at="b")
    assert "signature is wrong" in str(moved.details)
    plain = CODEC.decode_error(JsonCodec().encode_error(ValueError("no")), at="a")
    assert isinstance(plain, NotReadableHere)
