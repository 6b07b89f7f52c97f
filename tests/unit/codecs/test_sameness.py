"""Calls that were written otherwise are the same call if their values are."""

from __future__ import annotations

import pytest
from attrs import evolve, frozen

from resonate import Codecs, JsonCodec
from resonate.core.sameness import alike, same_call
from resonate.core.values import UNTYPED, Call, Signature
from tests.unit.codecs.salted import Salted


@frozen
class Item:
    n: int
    new: str = "as ever"


class Grumpy:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("don't compare me")

    __hash__ = None  # type: ignore[assignment]


CALL = Call(func="f", args=(1, [True, {"a": 1.5}]), kwargs={"name": "x"}, version=1)


def compare(one: Call, other: Call, *, signature: Signature = UNTYPED, codec=None, before=None) -> bool:
    codec = codec or Codecs(Salted(), JsonCodec())
    asked = codec.encode_call(one, signature, at="here")
    stored = (before or codec).encode_call(other, signature, at="there")
    return same_call(codec, asked, stored, signature, at="here", stored_at="there")


@pytest.mark.parametrize("codec", [Codecs(Salted(), JsonCodec()), Codecs(JsonCodec(), Salted())])
@pytest.mark.parametrize("before", [JsonCodec(), Salted()])
def test_equal_values_are_the_same_call_whatever_the_bytes_and_the_version(codec, before):
    assert compare(CALL, CALL, codec=codec, before=before)
    assert compare(CALL, evolve(CALL, version=2), codec=codec, before=before)


@pytest.mark.parametrize(
    "other",
    [
        evolve(CALL, func="g"),
        evolve(CALL, args=(1, [1, {"a": 1.5}])),
        evolve(CALL, args=(1.0, [True, {"a": 1.5}])),
        evolve(CALL, args=(1, [True, {"a": 2.5}])),
        evolve(CALL, args=(1, [True, {"b": 1.5}])),
        evolve(CALL, args=(1, [True])),
        evolve(CALL, args=(1,)),
        evolve(CALL, args=(1, "text")),
        evolve(CALL, kwargs={}),
        evolve(CALL, kwargs={"name": "y"}),
    ],
    ids=str,
)
def test_anything_else_is_another(other):
    assert not compare(CALL, other)
    assert not compare(CALL, other, codec=JsonCodec())


def test_a_field_that_was_not_there_yet_has_its_default():
    signature = Signature(positional=(Item,))
    stored = JsonCodec().encode_call(Call(func="f", args=({"n": 1},)), UNTYPED)
    for item, same in ((Item(1), True), (Item(2), False), (Item(1, "new"), False)):
        asked = JsonCodec().encode_call(Call(func="f", args=(item,)), signature)
        assert same_call(JsonCodec(), asked, stored, signature, at="", stored_at="") is same


def test_what_can_not_be_read_is_not_the_same():
    codec = Salted()
    asked = codec.encode_call(CALL, UNTYPED, at="here")
    stored = JsonCodec().encode_call(CALL, UNTYPED)
    assert not same_call(codec, asked, stored, UNTYPED, at="here", stored_at="here")


def test_values_of_classes_that_refuse_to_be_compared_are_not_the_same():
    class Hiding(Salted):
        def decode_call(self, value, signature_of, *, at=""):
            return Call(func="f", args=(Grumpy(),))

        def encode_call(self, call, signature, *, at=""):
            return super().encode_call(CALL, signature, at=at)

    assert not compare(CALL, CALL, codec=Hiding())


def test_classes_count_to_the_last_part():
    assert alike((1, {"a": [None]}), (1, {"a": [None]}))
    assert not alike((1,), [1])
    assert not alike({"a": 1}, {"a": True})
    assert alike({1, 2}, {2, 1})
