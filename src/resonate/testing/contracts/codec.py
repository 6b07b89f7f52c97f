"""What every codec must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import frozen

from resonate.core.protocol.records import NO_VALUE, Value
from resonate.core.values import CONTENT_ENCODING, CONTENT_TYPE, UNTYPED, Call, Codec, Signature, WritesPlain
from resonate.errors import ApplicationError, DecodingError, EncodingError
from resonate.testing.contracts.expect import Check, Checks, agree, hold, raises


@frozen(kw_only=True)
class Samples:
    """What a codec is tried with.

    Args:
        values: values with the types they are declared as, each to come back equal and of the same class.
        refused: values with their types that can't be written.
        misfits: values that can be written, their types, and other types that what is written does not fit.
        failures: exceptions that come back as they were.
        at_home: whether the codec writes instances of any class, by its import path.
        many_ways: whether the same value may be written as other bytes the next time.
        strict: whether no value at all is refused, where the codec would have written one.
    """

    values: Sequence[tuple[Any, Any]]
    refused: Sequence[tuple[Any, Any]] = ()
    misfits: Sequence[tuple[Any, Any, Any]] = ()
    failures: Sequence[Exception] = (ValueError("no"), KeyError("k"), ApplicationError("no", name="Other"))
    at_home: bool = False
    many_ways: bool = False
    strict: bool = False


AT: Final = "contract.1"
"""The id of the promise that all values here belong to."""

_PLAIN: Final[Mapping[type, Sequence[Any]]] = {
    int: (0, -1, 2**31, 2**53 + 1, 2**64, -(10**30)),
    str: ("", "a", "\u00e9\U0001f600", "null", "a\0b"),
    bool: (False, True),
    bytes: (b"", b"\0a"),
    float: (0.5, -1.25, 1e300),
    type(None): (None,),
}

CodecCheck: TypeAlias = Check[[Codec, Samples]]
_CHECKS: Final[Checks[[Codec, Samples]]] = Checks()


class _Opaque:
    """A class that no codec knows."""


def _local_class() -> type[object]:
    """Return a class that has no import path."""

    class Nowhere:
        pass

    return Nowhere


class _Vicious(Exception):
    """An exception of which nothing can be asked."""

    def __str__(self) -> str:
        raise RuntimeError("this exception has no text")

    def __repr__(self) -> str:
        raise RuntimeError("this exception has no form")

    def __reduce__(self) -> str:
        raise RuntimeError("this exception can't be copied")


@_CHECKS
async def what_is_written_is_read_back_equal(codec: Codec, samples: Samples) -> None:
    for value, type_ in samples.values:
        back = codec.decode(codec.encode(value, type_, at=AT), type_, at=AT)
        agree(back, value, f"what comes back as {type_!r}")
        agree(back.__class__, value.__class__, f"the class of what comes back as {type_!r}")


@_CHECKS
async def plain_values_are_the_very_values(codec: Codec, samples: Samples) -> None:
    """What a codec calls plain is not read back after it was written, so reading must make no difference."""
    del samples
    if not isinstance(codec, WritesPlain):
        return
    for cls in codec.plain:
        hold(cls in _PLAIN, f"values of {cls.__name__} are known not to change")
        for value, type_ in ((value, type_) for value in _PLAIN.get(cls, ()) for type_ in (cls, Any)):
            try:
                written = codec.encode(value, type_, at=AT)
            except EncodingError:
                continue  # refused is not changed
            back = codec.decode(written, type_, at=AT)
            agree((back.__class__, back), (cls, value), f"a plain {cls.__name__} that comes back as {type_!r}")


@_CHECKS
async def the_same_value_is_the_same_bytes(codec: Codec, samples: Samples) -> None:
    for value, type_ in () if samples.many_ways else samples.values:
        first = codec.encode(value, type_, at=AT)
        agree(codec.encode(value, type_, at=AT), first, "what is written the second time")
        agree(codec.encode(codec.decode(first, type_, at=AT), type_, at=AT), first, "what is written of what was read")


@_CHECKS
async def sets_are_written_in_one_order(codec: Codec, samples: Samples) -> None:
    if samples.many_ways:
        return
    numbers = [0, 64, 128, 192]  # they share a slot of a small hash table, so a set keeps them as they came
    one, other = set(numbers), set(reversed(numbers))  # noqa: C414 - the order is what matters
    try:
        forward = codec.encode(one, set[int], at=AT)
    except EncodingError:
        return  # a codec need not know sets
    agree(codec.encode(other, set[int], at=AT), forward, "a set filled in another order")


@_CHECKS
async def what_is_written_is_headers_and_text(codec: Codec, samples: Samples) -> None:
    for value, type_ in samples.values:
        written = codec.encode(value, type_, at=AT)
        hold(written.data is None or type(written.data) is str, "data is a string, or None")
        hold(all(type(text) is str for pair in written.headers.items() for text in pair), "headers are strings")


@_CHECKS
async def what_cannot_be_written_is_refused(codec: Codec, samples: Samples) -> None:
    opaque = _local_class() if samples.at_home else _Opaque
    for value, type_ in (*samples.refused, (opaque(), Any), ([1, {"deep": opaque()}], Any)):
        with raises(EncodingError, f"a {type(value).__name__} can't be written as {type_!r}, and that is said"):
            codec.encode(value, type_, at=AT)


@_CHECKS
async def what_does_not_fit_is_refused(codec: Codec, samples: Samples) -> None:
    for value, type_, other in samples.misfits:
        written = codec.encode(value, type_, at=AT)
        with raises(DecodingError, f"a {type(value).__name__} does not fit {other!r}, and that is said"):
            codec.decode(written, other, at=AT)


@_CHECKS
async def garbage_is_refused(codec: Codec, samples: Samples) -> None:
    value, type_ = samples.values[0]
    headers = codec.encode(value, type_, at=AT).headers
    for data in ("\0", "{", "%%%", "no such thing", '{"$type":"os.system","value":"true"}'):
        with raises(DecodingError, f"{data!r} is nothing that was ever written"):
            codec.decode(Value(headers, data), type_, at=AT)


@_CHECKS
async def no_value_is_none_or_refused(codec: Codec, samples: Samples) -> None:
    """A promise that somebody settles without a value has none, encoded by nobody."""
    if samples.strict:
        with raises(DecodingError, "no value at all is nothing that was ever written"):
            codec.decode(NO_VALUE, at=AT)
    else:
        agree(codec.decode(NO_VALUE, at=AT), None, "no value")


@_CHECKS
async def headers_say_who_reads(codec: Codec, samples: Samples) -> None:
    for value, type_ in samples.values:
        hold(codec.reads(codec.encode(value, type_, at=AT).headers), "a codec reads what it writes")
    for value, type_ in samples.values:
        written = codec.encode(value, type_, at=AT)
        wrapped = f"{written.headers.get(CONTENT_ENCODING, '')}, x-unheard-of".removeprefix(", ")
        for name, format_ in ((CONTENT_TYPE, "application/x-unheard-of"), (CONTENT_ENCODING, wrapped)):
            headers = {**written.headers, name: format_}
            hold(not codec.reads(headers), f"{name}: {format_} is not read")
            with raises(DecodingError, f"a value of the {name} {format_} is refused"):
                codec.decode(Value(headers, written.data), type_, at=AT)


@_CHECKS
async def calls_are_read_back(codec: Codec, samples: Samples) -> None:
    for value, type_ in samples.values:
        signature = Signature(positional=(type_,), keyword={"named": type_}, returns=type_)
        call = Call(func="f", args=(value,), kwargs={"named": value}, version=3)
        asked: list[tuple[str, int | None]] = []

        def signature_of(func: str, version: int | None, known: Signature = signature) -> Signature:
            asked.append((func, version))  # noqa: B023 - asked and read within this turn
            return known

        agree(
            codec.decode_call(codec.encode_call(call, signature, at=AT), signature_of, at=AT),
            call,
            "the call that comes back",
        )
        agree(asked, [("f", 3)], "whose signature is asked for")
    for call in (Call(func="f"), Call(func="f", version=1)):
        back = codec.decode_call(codec.encode_call(call, UNTYPED, at=AT), lambda _func, _version: UNTYPED, at=AT)
        agree(back, call, "the call")


@_CHECKS
async def a_call_that_is_none_is_refused(codec: Codec, _samples: Samples) -> None:
    for value in (NO_VALUE, codec.encode("text", str, at=AT), Value(data="{")):
        with raises(DecodingError, "what is no call is not read as one"):
            codec.decode_call(value, lambda _func, _version: UNTYPED, at=AT)


@_CHECKS
async def failures_come_back(codec: Codec, samples: Samples) -> None:
    for failure in samples.failures:
        back = codec.decode_error(codec.encode_error(failure, at=AT), at=AT)
        agree((type(back), str(back)), (type(failure), str(failure)), "the failure that comes back")


@_CHECKS
async def any_failure_can_be_written(codec: Codec, _samples: Samples) -> None:
    for failure in (
        _Vicious(),
        ValueError(_Opaque()),
        KeyboardInterrupt(),
        ExceptionGroup("many", [ValueError("one")]),
    ):
        back = codec.decode_error(codec.encode_error(failure, at=AT), at=AT)
        hold(_can_be_raised(back), "a failure comes back as an exception that can be raised")


@_CHECKS
async def any_value_can_be_read_as_a_failure(codec: Codec, samples: Samples) -> None:
    written = [codec.encode(value, type_, at=AT) for value, type_ in samples.values]
    odd = (NO_VALUE, Value(data=""), Value(data="{"), Value(data='{"__type":"os.system"}'), *written)
    for value in odd:
        hold(_can_be_raised(codec.decode_error(value, at=AT)), "whatever is stored reads as some exception")


def _can_be_raised(error: object) -> bool:
    return isinstance(error, Exception)


CODEC_CHECKS: Final[tuple[CodecCheck, ...]] = (*_CHECKS,)
"""Every check, each a coroutine function of a codec and samples."""


async def check_codec(codec: Codec, samples: Samples) -> None:
    """Run every check. Raise `AssertionError` at the first promise broken."""
    for check in CODEC_CHECKS:
        await check(codec, samples)
