"""A limit to what is stored of one value.

It is around every client's codec. So it costs one call for what is written, and nothing for what is read: that is the
inner codec's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from resonate.adapters.codecs.wrapper import brief_error, count_of
from resonate.core.protocol.records import Value
from resonate.core.values import Call, Codec, Signature, plain_of
from resonate.errors import EncodingError
from resonate.ports.codec import check_codec, register_error

LIMIT: Final = 2_000_000
"""Of a request a Resonate server takes 2 MiB (2,097,152 bytes): this, and some 97 kB for headers, tags and ids."""

E = TypeVar("E", bound=type[Exception])


class Limited:
    """Refuse to write values that are larger than servers accept. What is read is not limited.

    A client puts it around its codec unless that is limited already: `Resonate(codec=Limited(JsonCodec(), 20_000_000))`
    has a limit of its own.

    Args:
        inner: the codec whose values are limited.
        limit: how many bytes of stored data a value may take; three quarters of it as JSON, since that is in base64.
    """

    def __init__(self, inner: Codec, limit: int = LIMIT) -> None:
        self.inner = check_codec(inner)
        self.limit = count_of(limit, "limit", least=1)
        self._certain = self.limit // 4  # so many characters are never more bytes than the limit
        self.reads = inner.reads
        self.decode = inner.decode
        self.decode_call = inner.decode_call
        self.decode_error = inner.decode_error
        self.plain = plain_of(inner)

    def __repr__(self) -> str:
        return f"Limited({self.inner!r}, {self.limit})"

    def register_error(self, cls: E) -> E:
        """Let failures of this class come back as themselves; see the inner codec. Usable as a decorator."""
        return register_error(self.inner, cls)

    def encode(self, value: object, type_: Any = Any, *, at: str = "") -> Value:
        """See the port."""
        written = self.inner.encode(value, type_, at=at)
        if written.data is not None and len(written.data) > self._certain:
            self._check(written.data, f"the value of {at}" if at else "the value")
        return written

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        """See the port."""
        written = self.inner.encode_call(call, signature, at=at)
        if written.data is not None and len(written.data) > self._certain:
            self._check(written.data, f"the arguments of {call.func}")
        return written

    def encode_error(self, error: BaseException, *, at: str = "") -> Value:
        """See the port. What is too large is written in brief."""
        written = self.inner.encode_error(error, at=at)
        try:
            self._check(written.data or "", "it")
        except EncodingError as refused:
            return self.inner.encode_error(brief_error(error, refused), at=at)
        return written

    def _check(self, data: str, what: str) -> None:
        size = len(data) if data.isascii() else len(data.encode("utf-8", "surrogatepass"))
        if size > self.limit:
            raise EncodingError(
                f"{what} would take {size:,} bytes in the store; the limit is {self.limit:,}.",
                hint="Store it elsewhere and pass its address; or let large values be kept as files, with "
                "Offloaded(codec, DirectoryBlobs(...)); or raise the limit, with Limited(codec, bytes), if the "
                "server takes more.",
            )


def limited(codec: Codec) -> Codec:
    """Return a codec with the default limit around it, unless what writes has one."""
    inner: Any = codec
    while inner is not None:
        if isinstance(inner, Limited):
            return codec
        inner = getattr(inner, "inner", None)
    return Limited(codec)


if TYPE_CHECKING:
    _implements: type[Codec] = Limited
