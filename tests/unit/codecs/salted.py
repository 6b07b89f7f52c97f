"""Codecs that stand in for those that wrap: each value is bound to its place, and written anew is other bytes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from resonate.adapters.codecs.json import JsonCodec
from resonate.core.protocol.records import Value
from resonate.core.values import Call, Codec, Signature
from resonate.errors import ApplicationError, DecodingError

_SALT = itertools.count()


class Salted:
    """Puts the place and a number that never comes again before the data that another codec writes.

    Args:
        inner: the codec.
        name: what its `content-encoding` is called.
    """

    def __init__(self, inner: Codec | None = None, name: str = "salted") -> None:
        self.inner = inner or JsonCodec()
        self.name = name

    def reads(self, headers: Mapping[str, str]) -> bool:
        rest, _, last = headers.get("content-encoding", "").rpartition(", ")
        return last == self.name and self.inner.reads(_under(headers, rest))

    def encode(self, value: object, type_: Any = Any, *, at: str = "") -> Value:
        return self._wrap(self.inner.encode(value, type_, at=at), at)

    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        return self.inner.decode(self._unwrap(value, at), type_, at=at)

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        return self._wrap(self.inner.encode_call(call, signature, at=at), at)

    def decode_call(self, value: Value, signature_of: Callable[[str, int | None], Signature], *, at: str = "") -> Call:
        return self.inner.decode_call(self._unwrap(value, at), signature_of, at=at)

    def encode_error(self, error: BaseException, *, at: str = "") -> Value:
        return self._wrap(self.inner.encode_error(error, at=at), at)

    def decode_error(self, value: Value, *, at: str = "") -> Exception:
        try:
            return self.inner.decode_error(self._unwrap(value, at), at=at)
        except DecodingError as error:
            return ApplicationError(str(error), name="unreadable")

    def register_error(self, cls: Any) -> Any:
        return self.inner.register_error(cls)  # type: ignore[attr-defined]

    def _wrap(self, value: Value, at: str) -> Value:
        assert at, "what is the place of this value?"
        around = value.headers.get("content-encoding")
        headers = {**value.headers, "content-encoding": f"{around}, {self.name}" if around else self.name}
        return Value(headers, f"{at}|{next(_SALT)}|{'-' if value.data is None else value.data}")

    def _unwrap(self, value: Value, at: str) -> Value:
        if not self.reads(value.headers):
            raise DecodingError("this was never salted")
        place, _, data = (value.data or "").split("|", 2)
        if place != at:
            raise DecodingError(f"this belongs to {place}, not to {at}")
        rest = value.headers["content-encoding"].rpartition(", ")[0]
        return Value(_under(value.headers, rest), None if data == "-" else data)


def _under(headers: Mapping[str, str], rest: str) -> dict[str, str]:
    under = {name: text for name, text in headers.items() if name != "content-encoding"}
    return {**under, "content-encoding": rest} if rest else under
