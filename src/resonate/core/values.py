"""What the engine needs of a codec, in the core's nouns.

Law 1: encode then decode gives an equal value, or encode raises; never a silent change.
Law 2: the same value encodes to the same bytes in every process (sets are sorted, dict order is kept).
Law 3: decoding never runs code that the data names.
Law 4: a value's headers say how it was written: `content-type` names the format, `content-encoding` what wraps it,
    outermost last (`zstd, aes-gcm`), as in HTTP. A codec reads what it wrote and refuses the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any, Final, Protocol, runtime_checkable

from attrs import field

from resonate.core.frozen import frozen
from resonate.core.protocol.records import PromiseRecord, Tag, Value

CONTENT_TYPE: Final = "content-type"
CONTENT_ENCODING: Final = "content-encoding"


@frozen(kw_only=True)
class Signature:
    """The types of a function's values, resolved once at registration. `Any` stands where nothing is declared.

    Args:
        positional: one type per positional parameter, context or info excluded.
        names: what these are called, for messages.
        keyword: types of parameters that can be given by name, context or info excluded.
        rest: element type of `*args`, None if the function takes none.
        extra: value type of `**kwargs`, None if the function takes none.
        returns: the awaited or returned type.
        unresolved: a line for each annotation that names what is not known at run time; `Any` stands in its place.
    """

    positional: tuple[Any, ...] = ()
    names: tuple[str, ...] = field(default=(), eq=False)
    keyword: Mapping[str, Any] = field(factory=dict[str, Any])
    rest: Any = None
    extra: Any = None
    returns: Any = Any
    unresolved: tuple[str, ...] = field(default=(), eq=False)


UNTYPED = Signature(rest=Any, extra=Any)


@frozen
class Call:
    """A function call as a promise's param carries it: `{"func","args","kwargs","version"}`.

    `version` is None where the sender did not pin one (other SDKs may send `{func, args}` alone).
    """

    func: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(factory=dict[str, object])
    version: int | None = None


def is_plain(value: object, declared: Any, plain: frozenset[type]) -> bool:
    """Say whether a value, written and read back as its declared type, can only be that very value.

    It is, where its class is one of the codec's `plain` ones, and the declared one if one is declared: an int that is
    declared as a float is not.
    """
    cls = type(value)
    return cls in plain and (declared is Any or declared is cls)


def is_plain_call(call: Call, signature: Signature, plain: frozenset[type]) -> bool:
    """Say whether the arguments of a call are plain, and given by position."""
    declared = signature.positional
    if call.kwargs or len(call.args) > len(declared):
        return False
    return all(map(is_plain, call.args, declared, repeat(plain)))


def place_of_param(promise: PromiseRecord) -> str:
    """Return what the param of a promise was written for: a schedule hands one param to all the promises it makes."""
    schedule = promise.tags.get(Tag.SCHEDULE)
    return promise.id if schedule is None else place_of_schedule(schedule)


def recorded_call(codec: Codec, promise: PromiseRecord, signature: Signature) -> Call:
    """Read the call that a promise stands for, of a function with this signature. Raise what the codec raises."""
    return codec.decode_call(promise.param, lambda _name, _version: signature, at=place_of_param(promise))


def place_of_schedule(id: str) -> str:
    """Return the place of a schedule's param. It is no promise's: else a tag would make one's param another's."""
    return f"\0schedule {id}"


@runtime_checkable
class WritesPlain(Protocol):
    """A codec that says which classes it writes so that what is read is the very value, which nobody can change."""

    @property
    def plain(self) -> frozenset[type]:
        """Such classes: of these, what was just written is not read back. `int` and `str`, say."""
        ...


def plain_of(codec: object) -> frozenset[type]:
    """Return the classes that a codec calls plain; none if it does not say."""
    return codec.plain if isinstance(codec, WritesPlain) else frozenset()


class Codec(Protocol):
    """Python values to protocol values and back. Pure, synchronous, thread-safe.

    `at` is the id of the promise that a value belongs to, so that a codec can bind it to its place; for a schedule's
    param it is the schedule's id, whatever promises get a copy (`place_of_param`).
    """

    def reads(self, headers: Mapping[str, str]) -> bool:
        """Say whether a value with these headers is of this codec's format. No `content-type` is JSON."""
        ...

    def encode(self, value: object, type_: Any = Any, *, at: str = "") -> Value:
        """Write `value`, which is declared as `type_`. Raise `EncodingError` with the path to what can't be written."""
        ...

    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        """Read `value` as `type_`. Raise `DecodingError` with the path to what does not fit."""
        ...

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        """Write a call, each argument by its declared type. Raise `EncodingError`."""
        ...

    def decode_call(self, value: Value, signature_of: Callable[[str, int | None], Signature], *, at: str = "") -> Call:
        """Read a call; `signature_of(func, version)` gives the types once the name is known.

        Raise `DecodingError`, or whatever `signature_of` raises.
        """
        ...

    def encode_error(self, error: BaseException, *, at: str = "") -> Value:
        """Write a failure. Never raises: what can't be written is left out and said so."""
        ...

    def decode_error(self, value: Value, *, at: str = "") -> Exception:
        """Read a failure as the exception to raise. Never raises: what can't be rebuilt is an `ApplicationError`.

        Where this process lacks what it takes to read it, that is returned: a `NotReadableHere`.
        """
        ...
