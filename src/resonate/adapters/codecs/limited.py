"""A limit to what is stored of one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from resonate.adapters.codecs.wrapper import Purpose, Wrapper, count_of
from resonate.core.protocol.records import Value
from resonate.core.values import Call, Codec, Signature
from resonate.errors import EncodingError

LIMIT: Final = 2_000_000
"""Of a request a Resonate server takes 2 MiB (2,097,152 bytes): this, and some 97 kB for headers, tags and ids."""


class Limited(Wrapper):
    """Refuse to write values that are larger than servers accept. What is read is not limited.

    A client puts it around its codec unless that is limited already: `Resonate(codec=Limited(JsonCodec(), 20_000_000))`
    has a limit of its own.

    Args:
        inner: the codec whose values are limited.
        limit: how many bytes of stored data a value may take; three quarters of it as JSON, since that is in base64.
    """

    def __init__(self, inner: Codec, limit: int = LIMIT) -> None:
        super().__init__(inner)
        self.limit = count_of(limit, "limit", least=1)

    def __repr__(self) -> str:
        return f"Limited({self.inner!r}, {self.limit})"

    def reads(self, headers: Mapping[str, str]) -> bool:
        """See the port."""
        return self.inner.reads(headers)

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        """See the port."""
        written = self.inner.encode_call(call, signature, at=at)
        self._check(written, f"the arguments of {call.func}")
        return written

    def wrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """See the base."""
        whose = f" of {at}" if at else ""
        self._check(value, f"the {purpose.value}{whose}")
        return value

    def unwrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """See the base."""
        del purpose, at
        return value

    def _check(self, value: Value, what: str) -> None:
        size = _size(value.data)
        if size > self.limit:
            raise EncodingError(
                f"{what} would take {size:,} bytes in the store; the limit is {self.limit:,}.",
                hint="Store it elsewhere and pass its address; or let large values be kept as files, with "
                "Offloaded(codec, DirectoryBlobs(...)); or raise the limit, with Limited(codec, bytes), if the "
                "server takes more.",
            )


def _size(data: str | None) -> int:
    if data is None:
        return 0
    return len(data) if data.isascii() else len(data.encode("utf-8", "surrogatepass"))


def limited(codec: Codec) -> Codec:
    """Return a codec with the default limit around it, unless it has one."""
    inner: Any = codec
    while isinstance(inner, Wrapper):
        if isinstance(inner, Limited):
            return codec
        inner = inner.inner
    return Limited(codec)


if TYPE_CHECKING:
    _implements: type[Codec] = Limited
