"""A codec that takes nothing on trust: each value that is written is read back at once, and compared.

Law 1: a value that would not come back equal is refused when it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from resonate.adapters.codecs.comparing import difference
from resonate.core.protocol.records import Value
from resonate.core.values import Call, Codec, Signature
from resonate.errors import DecodingError, EncodingError
from resonate.ports.codec import check_codec, register_error

E = TypeVar("E", bound=type[Exception])


class Checked:
    """Write and read as another codec does, and see that each value comes back equal. A codec itself.

    It costs a reading for each writing. The test harness checks all values so; a program may, by
    `Resonate(codec=Checked(JsonCodec()))`.

    Args:
        codec: whose values are checked.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = check_codec(codec)

    @property
    def inner(self) -> Codec:
        """The codec whose values are checked."""
        return self._codec

    def register_error(self, cls: E) -> E:
        """Let failures of this class come back as themselves. Usable as a decorator."""
        return register_error(self._codec, cls)

    def reads(self, headers: Mapping[str, str]) -> bool:
        """Say whether the codec reads a value with these headers."""
        return self._codec.reads(headers)

    def encode(self, value: object, type_: Any = Any, *, at: str = "") -> Value:
        """Write `value`. Raise `EncodingError` with the path to what can't be written, or does not come back equal."""
        written = self._codec.encode(value, type_, at=at)
        path = difference(value, self._back("a value", lambda: self._codec.decode(written, type_, at=at)))
        if path is not None:
            raise _unequal("the value", path.removeprefix("."))
        return written

    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        """Read `value` as `type_`. Raise `DecodingError` with the path to what does not fit."""
        return self._codec.decode(value, type_, at=at)

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        """Write a call. Raise `EncodingError` with the path to what can't be written, or does not come back equal."""
        written = self._codec.encode_call(call, signature, at=at)
        what = f"a call of {call.func}"
        back = self._back(what, lambda: self._codec.decode_call(written, lambda _name, _version: signature, at=at))
        for name, one, other in _arguments(call, back, signature):
            path = difference(one, other)
            if path is not None:
                raise _unequal(what, name + path if name else "")
        return written

    def decode_call(self, value: Value, signature_of: Callable[[str, int | None], Signature], *, at: str = "") -> Call:
        """Read a call; `signature_of(func, version)` gives the types once the name is known.

        Raise `DecodingError`, or whatever `signature_of` raises.
        """
        return self._codec.decode_call(value, signature_of, at=at)

    def encode_error(self, error: BaseException, *, at: str = "") -> Value:
        """Write a failure. Never raises: what can't be written is left out and said so."""
        return self._codec.encode_error(error, at=at)

    def decode_error(self, value: Value, *, at: str = "") -> Exception:
        """Read a failure as the exception to raise. Never raises: what can't be rebuilt is an `ApplicationError`."""
        return self._codec.decode_error(value, at=at)

    def _back(self, what: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except DecodingError as error:
            msg = f"{what} was written and can't be read back: {error.message}"
            raise EncodingError(msg, path=error.path, hint=error.hint) from error


def _arguments(call: Call, back: Call, signature: Signature) -> list[tuple[str, Any, Any]]:
    """Return each argument's name, as it went and as it came back."""
    names = [*signature.names, *(f"args[{index}]" for index in range(len(signature.names), len(call.args)))]
    if len(back.args) != len(call.args) or back.kwargs.keys() != call.kwargs.keys():
        return [("", (len(call.args), *call.kwargs), (len(back.args), *back.kwargs))]
    return [
        *zip(names, call.args, back.args, strict=False),
        *((name, value, back.kwargs[name]) for name, value in call.kwargs.items()),
    ]


def _unequal(what: str, path: str) -> EncodingError:
    where = f"{what}: {path}" if path else what
    return EncodingError(
        f"{where} does not come back equal from what is written.",
        path=path,
        hint="Declare its type exactly, or correct how its class is written, read and compared.",
    )
