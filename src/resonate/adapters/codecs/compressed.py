"""Values made shorter: zstd or gzip around another codec's values.

Law 1: what would not get shorter, and what is short anyway, is left as it is.
Law 2: reading takes no more memory than the data, `max_unpacked` bytes and a window of that size (of zstd, 8 MiB at
    least), whatever the data claims.
Law 3: what reading would refuse as too large, writing refuses.
Law 4: the same value is the same bytes in every process that has the same library.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from resonate.adapters.codecs.wrapper import (
    Purpose,
    Wrapper,
    as_bytes,
    as_text,
    count_of,
    outermost,
    stored_bytes,
    unwrapped,
    wrapped,
)
from resonate.adapters.codecs.zstd import zstd
from resonate.core.protocol.records import Value
from resonate.core.values import Codec
from resonate.errors import DecodingError, EncodingError, NotReadableHere, UsageError

ZSTD: Final = "zstd"
GZIP: Final = "gzip"
ABOVE: Final = 1024
MAX_UNPACKED: Final = 64 * 1024 * 1024
_LEVELS: Final = {ZSTD: 3, GZIP: 6}
_GZIP_BITS: Final = 16 + zlib.MAX_WBITS  # a gzip header instead of zlib's; without a time or a name in it
_LEAST_WINDOW, _LARGEST_WINDOW = 23, 31  # of zstd, as powers of two; 8 MiB is what any reader should grant
_INSTALL: Final = "Install resonate-durable[zstd]."


class Compressed(Wrapper):
    """Compress what another codec writes. Values of either format are read, whichever is written.

    Encryption goes around it, `Encrypted(Compressed(JsonCodec()), keys)`: encrypted data can't be compressed.

    Args:
        inner: the codec whose values are compressed.
        format: "zstd" (the extra `zstd`) or "gzip"; by default zstd where it is there.
        above: values of up to so many bytes are left as they are.
        max_unpacked: how many bytes a value may have, uncompressed; larger ones are refused, written or read.
    """

    def __init__(
        self,
        inner: Codec,
        *,
        format: Literal["zstd", "gzip"] | None = None,
        above: int = ABOVE,
        max_unpacked: int = MAX_UNPACKED,
    ) -> None:
        super().__init__(inner)
        if format not in {ZSTD, GZIP, None}:
            raise UsageError(f"Values are compressed as 'zstd' or 'gzip', not {format!r:.80}.")
        if format == ZSTD and zstd() is None:
            raise UsageError("There is no zstd in this Python.", hint=f"{_INSTALL} Or take format='gzip'.")
        self._format = format or (GZIP if zstd() is None else ZSTD)
        self._above = count_of(above, "above", least=0)
        self._limit = count_of(max_unpacked, "max_unpacked", least=1)

    def __repr__(self) -> str:
        return f"Compressed({self.inner!r}, format={self._format!r})"

    def reads(self, headers: Mapping[str, str]) -> bool:
        """See the port."""
        packed = outermost(headers) in _LEVELS
        return self.inner.reads(unwrapped(headers) if packed else headers)

    def wrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """See the base."""
        del purpose, at
        raw = None if value.data is None or len(value.data) <= self._above else as_bytes(value.data)
        if raw is None:
            return value
        if len(raw) > self._limit:
            raise EncodingError(
                f"the value has {len(raw):,} bytes; the limit for compressed values is {self._limit:,}.",
                hint="Raise it for all workers: Compressed(..., max_unpacked=...); or store the value elsewhere.",
            )
        packed = _pack(raw, self._format)
        if len(packed) >= len(raw):
            return value
        return Value(wrapped(value.headers, self._format), as_text(packed))

    def unwrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """See the base."""
        del purpose, at
        word = outermost(value.headers)
        if word not in _LEVELS:
            return value
        packed = stored_bytes(value, f"{word} data")
        return Value(unwrapped(value.headers), as_text(_unpack(packed, word, self._limit)))


def _pack(raw: bytes, word: str) -> bytes:
    if word == ZSTD:
        packed: bytes = zstd().compress(raw, _LEVELS[ZSTD])
        return packed
    packer = zlib.compressobj(_LEVELS[GZIP], zlib.DEFLATED, _GZIP_BITS)
    return packer.compress(raw) + packer.flush()


def _unpack(packed: bytes, word: str, limit: int) -> bytes:
    """Return what was packed. One byte more than the limit is asked for, to see whether there is more."""
    unpacker, broken = _zstd_unpacker(limit) if word == ZSTD else (zlib.decompressobj(_GZIP_BITS), zlib.error)
    try:
        raw: bytes = unpacker.decompress(packed, limit + 1)
    except broken as error:
        raise DecodingError(f"stored data is not {word}: {error}.") from None
    except MemoryError:
        raise DecodingError(f"there is no memory left to unpack {word} data.") from None
    if len(raw) > limit:
        raise DecodingError(
            f"stored {word} data unpacks to more than {limit:,} bytes.",
            hint="If it is yours, raise the limit: Compressed(..., max_unpacked=...).",
        )
    if not unpacker.eof:
        raise DecodingError(f"stored {word} data is not whole: it was cut.")
    if unpacker.unused_data:
        raise DecodingError(f"stored {word} data has something behind its end.")
    return raw


def _zstd_unpacker(limit: int) -> tuple[Any, type[Exception]]:
    library = zstd()
    if library is None:
        raise NotReadableHere("stored data is compressed with zstd, which this Python does not have.", hint=_INSTALL)
    # Data may ask for a window of any size to be set aside; one as large as the limit is all it can need.
    window = min(max(limit.bit_length(), _LEAST_WINDOW), _LARGEST_WINDOW)
    return library.ZstdDecompressor(options={library.DecompressionParameter.window_log_max: window}), library.ZstdError


if TYPE_CHECKING:
    _implements: type[Codec] = Compressed
