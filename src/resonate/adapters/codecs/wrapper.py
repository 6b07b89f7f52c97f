"""What a codec around another codec begins with: it turns the inner codec's values into others, and back.

Law 1: only the data and `content-encoding` change; all other headers go through as they are.
Law 2: `content-encoding` lists what wraps a value, outermost last, as in HTTP; a wrapper looks at the last word only.
Law 3: data is base64 once, whatever the number of wrappers: each one takes the text back to bytes first.
Law 4: reading gives the inner codec's value, or raises `DecodingError`; failures are read and written without raising.
"""

from __future__ import annotations

import binascii
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from resonate.core.protocol.records import Value
from resonate.core.values import CONTENT_ENCODING, Call, Codec, Signature
from resonate.errors import ApplicationError, DecodingError, EncodingError, NotReadableHere, UsageError
from resonate.ports.codec import check_codec, register_error

E = TypeVar("E", bound=type[Exception])


class Purpose(StrEnum):
    """What a value is: the codec's three ways."""

    VALUE = "value"
    CALL = "call"
    ERROR = "error"


class Wrapper(ABC):
    """A codec around another. Implements `resonate.ports.codec.Codec`; derive from it and say how to wrap a value.

    Args:
        inner: the codec that is wrapped.
    """

    def __init__(self, inner: Codec) -> None:
        self.inner = check_codec(inner)

    @abstractmethod
    def wrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """Return what is stored for a value of the inner codec. Raise `EncodingError`.

        What hides a value raises nothing: a failure that is refused even in brief is stored as the inner codec has it.
        """

    @abstractmethod
    def unwrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """Return the inner codec's value for what is stored. Raise `DecodingError`."""

    @abstractmethod
    def reads(self, headers: Mapping[str, str]) -> bool:
        """Say whether a value with these headers is one that this codec reads."""

    def register_error(self, cls: E) -> E:
        """Let failures of this class come back as themselves; see the inner codec. Usable as a decorator."""
        return register_error(self.inner, cls)

    # ------------------------------------------------------------ the port

    def encode(self, value: object, type_: Any = Any, *, at: str = "") -> Value:
        """See the port."""
        return self.wrap(self.inner.encode(value, type_, at=at), Purpose.VALUE, at)

    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        """See the port."""
        return self.inner.decode(self.unwrap(value, Purpose.VALUE, at), type_, at=at)

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        """See the port."""
        return self.wrap(self.inner.encode_call(call, signature, at=at), Purpose.CALL, at)

    def decode_call(self, value: Value, signature_of: Callable[[str, int | None], Signature], *, at: str = "") -> Call:
        """See the port."""
        return self.inner.decode_call(self.unwrap(value, Purpose.CALL, at), signature_of, at=at)

    def encode_error(self, error: BaseException, *, at: str = "") -> Value:
        """See the port. What is too large to be wrapped is written in brief."""
        try:
            return self.wrap(self.inner.encode_error(error, at=at), Purpose.ERROR, at)
        except EncodingError as refused:
            written = self.inner.encode_error(brief_error(error, refused), at=at)
            try:
                return self.wrap(written, Purpose.ERROR, at)
            except EncodingError:
                return written

    def decode_error(self, value: Value, *, at: str = "") -> Exception:
        """See the port."""
        try:
            return self.inner.decode_error(self.unwrap(value, Purpose.ERROR, at), at=at)
        except NotReadableHere as error:
            return error
        except DecodingError as error:
            return ApplicationError("a failure was recorded that can't be read", details=str(error))


def brief_error(error: BaseException, refused: EncodingError) -> ApplicationError:
    """Return what is stored in place of a failure that was refused."""
    name = type(error).__name__[:200]
    return ApplicationError(f"a failure was left out, since it could not be written: {refused.message}", name=name)


# ---------------------------------------------------------------- headers


def outermost(headers: Mapping[str, str]) -> str:
    """Return what wraps a value last; "" if nothing does."""
    return headers.get(CONTENT_ENCODING, "").rpartition(",")[2].strip()


def wrapped(headers: Mapping[str, str], word: str) -> dict[str, str]:
    """Return the headers of what is wrapped once more."""
    before = headers.get(CONTENT_ENCODING, "")
    return {**headers, CONTENT_ENCODING: f"{before}, {word}" if before else word}


def unwrapped(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of what is inside."""
    rest = headers.get(CONTENT_ENCODING, "").rpartition(",")[0].rstrip()
    left = {name: text for name, text in headers.items() if name != CONTENT_ENCODING}
    return {**left, CONTENT_ENCODING: rest} if rest else left


# ---------------------------------------------------------------- bytes


def as_bytes(text: str) -> bytes | None:
    """Return the bytes that a base64 text stands for; None if it is not the one base64 text of some bytes."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    tail = len(raw) % 3 or 3  # of a text's last group some bits may say nothing, and have to be zero
    return raw if text.endswith(as_text(raw[-tail:])) else None


def as_text(raw: bytes) -> str:
    """Return bytes as base64."""
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def count_of(value: Any, what: str, *, least: int) -> int:
    """Return a number that an option of a codec was given. Raise `UsageError`."""
    if type(value) is not int or value < least:
        raise UsageError(f"{what} is a whole number from {least}, not {value!r:.80}.")
    return value


def stored_bytes(value: Value, what: str) -> bytes:
    """Return the bytes of what a wrapper wrote. Raise `DecodingError`."""
    if not value.data:
        raise DecodingError(f"stored data is missing, where {what} is expected")
    try:
        return binascii.a2b_base64(value.data, strict_mode=True)
    except ValueError:
        raise DecodingError(f"stored data is not base64, where {what} is expected.") from None
