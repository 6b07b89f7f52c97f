"""Each value is read by the codec that its headers name; one codec writes."""

from __future__ import annotations

from typing import Any

import pytest

from resonate import Codecs, DecodingError, JsonCodec, NotReadableHere, Resonate, UsageError
from resonate.core.protocol.records import NO_VALUE, Value
from resonate.core.values import UNTYPED, Call
from tests.unit.codecs.salted import Salted

CALL = Call(func="f", args=(1,))


def types_of(_name, _version):
    return UNTYPED


@pytest.mark.parametrize("before", [JsonCodec(), Salted(), Salted(Salted(), "peppered")])
def test_what_another_codec_wrote_is_read_and_what_is_written_is_the_current_ones(before):
    now = Codecs(Salted(name="current"), before)
    assert now.decode(before.encode([1, None], at="p"), at="p") == [1, None]
    assert now.decode_call(before.encode_call(CALL, UNTYPED, at="p"), types_of, at="p") == CALL
    assert isinstance(now.decode_error(before.encode_error(KeyError("k"), at="p"), at="p"), KeyError)
    for written in (
        now.encode(1, at="p"),
        now.encode_call(CALL, UNTYPED, at="p"),
        now.encode_error(KeyError(), at="p"),
    ):
        assert written.headers["content-encoding"] == "current"
        assert not before.reads(written.headers)
        assert now.reads(written.headers)


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"content-type": "application/x-secret"}, "content-type 'application/x-secret'"),
        ({"content-encoding": "zip"}, "content-encoding 'zip'"),
        ({"content-type": "application/json", "content-encoding": "salted, zip"}, "'application/json' and content-enc"),
        ({}, "no content-type"),
    ],
)
def test_headers_that_name_no_codec_here_are_an_error_that_says_so(headers, named):
    codec = Codecs(Salted(), Salted(name="other"))
    value = Value(headers, "MQ==")
    assert not codec.reads(headers)
    for read in (codec.decode, lambda value: codec.decode_call(value, types_of)):
        with pytest.raises(DecodingError, match=named) as caught:
            read(value)
        assert "Known are Salted, Salted" in str(caught.value)
        assert "Codecs(current, other)" in str(caught.value)
    failure = codec.decode_error(value)
    assert isinstance(failure, NotReadableHere)
    assert named in str(failure)


@pytest.mark.parametrize("headers", [{"content-encoding": "salted"}, {"content-type": "application/jsonp"}])
@pytest.mark.parametrize("data", ["MQ==", "", None])
def test_json_refuses_what_is_wrapped_in_something_even_if_nothing_is_left(headers, data):
    with pytest.raises(DecodingError, match="the JSON codec can't read"):
        JsonCodec().decode(Value(headers, data))


def test_no_headers_are_json_as_other_sdks_write_it():
    assert Codecs(Salted(), JsonCodec()).decode(NO_VALUE, at="p") is None
    assert Codecs(Salted(), JsonCodec()).decode(Value({}, "MQ=="), at="p") == 1


def test_a_wrapping_codec_alone_reads_nothing_that_is_plain():
    with pytest.raises(DecodingError):
        Salted().decode(JsonCodec().encode(1), at="p")


class OutOfStock(Exception):
    pass


def test_a_registered_failure_comes_back_from_whichever_codec_wrote_it():
    old, new = JsonCodec(), Salted()
    codec = Codecs(new, old)
    assert codec.register_error(OutOfStock) is OutOfStock
    for writer in (old, new):
        assert isinstance(codec.decode_error(writer.encode_error(OutOfStock("b"), at="p"), at="p"), OutOfStock)


class Mute(Salted):
    register_error: Any = None


def test_codecs_that_know_of_no_registering_are_passed_over():
    codec = Codecs(Mute(), JsonCodec())
    codec.register_error(OutOfStock)
    assert isinstance(codec.decode_error(JsonCodec().encode_error(OutOfStock("b"))), OutOfStock)


class Older:
    """A codec as they were before values had a place."""

    def reads(self, headers):
        return True

    def encode(self, value, type_=Any):
        return NO_VALUE

    def decode(self, value, type_=Any, *, at=""):
        return None

    def encode_call(self, call, signature, **more):
        return NO_VALUE

    def decode_call(self, value, signature_of):
        return CALL

    def encode_error(self, error, at=""):
        return NO_VALUE

    def decode_error(self, value, *at):
        return ValueError()


@pytest.mark.parametrize("make", [lambda codec: Resonate(codec=codec), lambda codec: Codecs(JsonCodec(), codec)])
def test_what_is_no_codec_is_refused_where_it_is_given(make):
    with pytest.raises(UsageError, match=r"Older does not take `at` in encode, decode_call, decode_error\.") as caught:
        make(Older())
    assert 'Add the parameter `*, at: str = ""`' in str(caught.value)
    with pytest.raises(UsageError, match="int is no codec: it lacks reads, encode, "):
        make(3)
    with pytest.raises(UsageError, match="JsonCodec is a class, not a codec"):
        make(JsonCodec)


class Odd(Older):
    """A codec of which a signature can't be had."""

    encode = decode_call = decode_error = type("Hidden", (), {"__call__": lambda *_: None, "__signature__": 3})()


def test_a_codec_whose_methods_have_no_signature_is_trusted():
    Resonate(codec=Odd())
