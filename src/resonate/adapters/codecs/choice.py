"""One codec that writes, and others that read what they wrote: how codecs are changed while executions are in flight.

Law 1: every value is read by the first codec whose format its headers name, and by no other, whatever comes of it.
Law 2: headers that name no known format are an error; nothing is tried on the chance that it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from resonate.core.protocol.records import Value
from resonate.core.values import CONTENT_ENCODING, CONTENT_TYPE, Call, Codec, Signature, plain_of
from resonate.errors import NotReadableHere
from resonate.ports.codec import RegistersErrors, check_codec, register_error

E = TypeVar("E", bound=type[Exception])


class Codecs:
    """Write with the first codec, read each value with the one that its headers name. A codec itself.

    `Codecs(Encrypted(JsonCodec(), keys), JsonCodec())` encrypts from now on, and still reads what was written before.
    Take an old codec out once nothing that it wrote will be read again: whoever can write to the store may choose
    among the codecs that are left in.

    Args:
        current: writes everything.
        others: only read.
    """

    def __init__(self, current: Codec, *others: Codec) -> None:
        self._current = check_codec(current)
        self._all: tuple[Codec, ...] = (current, *map(check_codec, others))
        self.plain = plain_of(current)

    @property
    def inner(self) -> Codec:
        """The codec that writes."""
        return self._current

    def register_error(self, cls: E) -> E:
        """Let failures of this class come back as themselves, whichever codec wrote them. Usable as a decorator."""
        able = [codec for codec in self._all if isinstance(codec, RegistersErrors)]
        for codec in able or self._all:
            register_error(codec, cls)
        return cls

    def reads(self, headers: Mapping[str, str]) -> bool:
        """Say whether one of the codecs reads a value with these headers."""
        return any(codec.reads(headers) for codec in self._all)

    def encode(self, value: object, type_: Any = Any, *, at: str = "") -> Value:
        """Write `value`, which is declared as `type_`. Raise `EncodingError` with the path to what can't be written."""
        return self._current.encode(value, type_, at=at)

    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        """Read `value` as `type_`. Raise `DecodingError` with the path to what does not fit."""
        return self._reader(value).decode(value, type_, at=at)

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        """Write a call, each argument by its declared type. Raise `EncodingError`."""
        return self._current.encode_call(call, signature, at=at)

    def decode_call(self, value: Value, signature_of: Callable[[str, int | None], Signature], *, at: str = "") -> Call:
        """Read a call; `signature_of(func, version)` gives the types once the name is known.

        Raise `DecodingError`, or whatever `signature_of` raises.
        """
        return self._reader(value).decode_call(value, signature_of, at=at)

    def encode_error(self, error: BaseException, *, at: str = "") -> Value:
        """Write a failure. Never raises: what can't be written is left out and said so."""
        return self._current.encode_error(error, at=at)

    def decode_error(self, value: Value, *, at: str = "") -> Exception:
        """Read a failure as the exception to raise. Never raises: what can't be rebuilt is an `ApplicationError`."""
        try:
            reader = self._reader(value)
        except NotReadableHere as error:
            return error
        return reader.decode_error(value, at=at)

    def _reader(self, value: Value) -> Codec:
        for codec in self._all:
            if codec.reads(value.headers):
                return codec
        raise NotReadableHere(
            f"no codec here reads a value with {_format_of(value.headers)}",
            hint=f"Known are {', '.join(type(codec).__name__ for codec in self._all)}; "
            "add the codec that wrote it: Codecs(current, other).",
        )


def _format_of(headers: Mapping[str, str]) -> str:
    named = [f"{name} {headers[name]!r:.80}" for name in (CONTENT_TYPE, CONTENT_ENCODING) if name in headers]
    return " and ".join(named) or "no content-type (which is JSON)"
