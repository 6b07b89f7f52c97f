"""Large values kept elsewhere: the store has a reference, and a blob store what it refers to.

Law 1: a blob's key is the SHA-256 of its content: putting it twice is putting it once, and what is read is verified.
Law 2: a reference is written only once its blob is kept.
Law 3: what comes back is what was written, or a typed error that names the key and the place.

A client does not let its event loop wait for blobs: it takes an `Offloaded` that is the outermost codec apart, writes
and reads values with the inner codec, and moves the large ones on their way to and from the store, in threads. Used by
itself, the codec does the same where it is called.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

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
from resonate.core.protocol.records import Value
from resonate.core.values import Codec
from resonate.errors import CodecError, DecodingError, EncodingError, NotReadableHere, StoreError, UsageError
from resonate.ports.blobs import Blobs

WORD: Final = "blob"
THRESHOLD: Final = 100_000
LARGEST: Final = 256 * 1024 * 1024
_WHAT: Final = "a reference to a blob"
_KEY: Final = re.compile(r"[0-9a-f]{64}\Z")
_LONGEST_REFERENCE: Final = 1_000


class Offloaded(Wrapper):
    """Keep large values in a blob store, and in the promise a reference.

    It goes outermost, `Offloaded(Encrypted(JsonCodec(), keys), blobs)`, so that blobs are encrypted, too.

    Args:
        inner: the codec whose large values are moved out.
        blobs: where they go, `DirectoryBlobs("/shared/blobs")` for one.
        threshold: values whose data is longer than this many characters are moved out; None moves nothing out, and
            still reads what was.
        largest: how many characters of data a value may have; larger ones are refused, written or read.
    """

    def __init__(
        self, inner: Codec, blobs: Blobs, threshold: int | None = THRESHOLD, *, largest: int = LARGEST
    ) -> None:
        super().__init__(inner)
        given: Any = blobs
        if not callable(getattr(given, "put", None)) or not callable(getattr(given, "get", None)):
            raise UsageError(f"Blobs have put and get; {given!r:.80} has not.", hint="See resonate.ports.blobs.Blobs.")
        self.blobs = blobs
        self.threshold = None if threshold is None else count_of(threshold, "threshold", least=0)
        self._largest = count_of(largest, "largest", least=1)

    def __repr__(self) -> str:
        return f"Offloaded({self.inner!r}, {self.blobs!r}, {self.threshold})"

    def reads(self, headers: Mapping[str, str]) -> bool:
        """See the port."""
        return self.inner.reads(unwrapped(headers) if outermost(headers) == WORD else headers)

    def reading(self) -> Offloaded:
        """Return the same codec, but for that it moves nothing out."""
        return Offloaded(self.inner, self.blobs, None, largest=self._largest)

    # ------------------------------------------------------------ moving

    def is_large(self, value: Value) -> bool:
        """Say whether a value of the inner codec is to be moved out."""
        return self.threshold is not None and value.data is not None and len(value.data) > self.threshold

    def is_moved(self, value: Value) -> bool:
        """Say whether a stored value is a reference."""
        return outermost(value.headers) == WORD

    def move_out(self, value: Value) -> Value:
        """Keep a value's data as a blob and return the reference. Raise `StoreError`."""
        assert value.data is not None
        raw = as_bytes(value.data)
        content = value.data.encode("utf-8", "surrogatepass") if raw is None else raw
        key = hashlib.sha256(content).hexdigest()
        with _told(self.blobs, key):
            self.blobs.put(key, content)
        reference: dict[str, Any] = {"sha256": key, "size": len(content)}
        if raw is None:
            reference["text"] = True
        return Value(wrapped(value.headers, WORD), as_text(json.dumps(reference).encode()))

    def bring_in(self, value: Value) -> Value:
        """Return the value that a reference stands for. Raise `StoreError`, or `DecodingError` if it is not that."""
        key, size, is_text = _reference(value, self._largest)
        with _told(self.blobs, key):
            content = self.blobs.get(key, size)
        if len(content) != size or not hmac.compare_digest(hashlib.sha256(content).hexdigest(), key):
            raise DecodingError(
                f"the blob {key} in {self.blobs!r} is not what was put there: it was changed or cut.",
                hint="Restore it from a backup.",
            )
        try:
            data = content.decode("utf-8", "surrogatepass") if is_text else as_text(content)
        except UnicodeDecodeError:
            raise DecodingError(f"the blob {key} in {self.blobs!r} is no text.") from None
        return Value(unwrapped(value.headers), data)

    # ------------------------------------------------------------ the base

    def wrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """See the base."""
        self._check(value, purpose, at)
        if not self.is_large(value):
            return value
        try:
            return self.move_out(value)
        except StoreError as error:
            raise EncodingError(f"a large value can't be kept: {error.message}", hint=error.hint) from error

    def unwrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """See the base."""
        del purpose, at
        if not self.is_moved(value):
            return value
        try:
            return self.bring_in(value)
        except StoreError as error:
            raise NotReadableHere(f"a large value can't be had: {error.message}", hint=error.hint) from error

    def _check(self, value: Value, purpose: Purpose, at: str) -> None:
        """What reading would refuse as too large, writing refuses."""
        size = 0 if value.data is None else len(value.data)
        if size > self._largest:
            whose = f" of {at}" if at else ""
            raise EncodingError(
                f"the {purpose.value}{whose} takes {size:,} characters; the limit for blobs is {self._largest:,}.",
                hint="Raise it for all workers: Offloaded(..., largest=...); or store the value elsewhere.",
            )


@contextmanager
def _told(blobs: Blobs, key: str) -> Generator[None]:
    """Make a `StoreError` of whatever else a blob store raises: nobody further up expects it."""
    try:
        yield
    except (StoreError, CodecError):
        raise
    except Exception as error:
        raise StoreError(
            f"{blobs!r:.200} failed for the blob {key}: {error!r:.200}.",
            hint="Blobs raise StoreError: ServerError for what may pass, NotFound for what is not there.",
        ) from error


def _reference(value: Value, largest: int) -> tuple[str, int, bool]:
    if value.data is not None and len(value.data) > _LONGEST_REFERENCE:
        raise DecodingError("stored data is too long for a reference to a blob.")
    try:
        found = json.loads(stored_bytes(value, _WHAT).decode())
    except (ValueError, RecursionError):
        found = None
    match found:
        case {"sha256": str() as key, "size": int() as size} if _KEY.match(key) and 0 <= size <= largest:
            return key, size, found.get("text") is True
        case {"sha256": str(), "size": int() as size} if size > largest:
            raise DecodingError(
                f"stored data refers to a blob of {size:,} bytes; the limit is {largest:,}.",
                hint="If it is yours, raise it: Offloaded(..., largest=...).",
            )
        case _:
            raise DecodingError("stored data is no reference to a blob, where one is expected.")


if TYPE_CHECKING:
    _implements: type[Codec] = Offloaded
