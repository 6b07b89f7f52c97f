"""Values that only holders of a key can read or make: AES-GCM around another codec's values.

Law 1: a value is bound to its promise and to what it is (value, call or failure): elsewhere it can't be read.
Law 2: what was not written by a holder of a key is refused; plain values too, and the absence of a value.
Law 3: the same value for the same promise is the same bytes in every process; for another promise it is other bytes.
Law 4: no error tells a key or a part of what was encrypted.

The stored bytes: version (1 byte) | length of the key's id (1) | key's id | key check (4) | nonce (12) | ciphertext and
tag (16). Encrypted is one byte for the form, and the inner value's bytes. From the key, HKDF-SHA256 derives for each
promise and purpose an encryption key and a nonce key; the nonce is the first 96 bits of HMAC-SHA256 under the nonce key
of what is encrypted and its associated data.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from resonate.adapters.codecs.keys import CHECK_SIZE, Key, Keys, framed_texts, keyring
from resonate.adapters.codecs.offloaded import Offloaded
from resonate.adapters.codecs.wrapper import (
    Purpose,
    Wrapper,
    as_bytes,
    as_text,
    outermost,
    stored_bytes,
    unwrapped,
    wrapped,
)
from resonate.core.protocol.records import Value
from resonate.core.values import CONTENT_ENCODING, CONTENT_TYPE, Codec
from resonate.errors import DecodingError, NotReadableHere, UsageError

WORD: Final = "aes-gcm"
_VERSION: Final = 1
_LABEL: Final = "resonate encrypted value 1"
_KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 12
_TAG_SIZE: Final = 16
_NOTHING, _BYTES, _TEXT = b"\x00", b"\x01", b"\x02"
_WHAT: Final = "an encrypted value"


class Encrypted(Wrapper):
    """Encrypt what another codec writes, with AES-GCM. Needs the extra `encryption`.

    Names of functions, ids, tags and other headers stay readable, and so does how long a value is; arguments, results
    and failures do not.

    Args:
        inner: the codec whose values are encrypted, `JsonCodec()` for one.
        keys: keys by id, of 16, 24 or 32 random bytes; the first encrypts, all of them decrypt. One key alone has the
            id "default".
    """

    def __init__(self, inner: Codec, keys: Keys) -> None:
        super().__init__(inner)
        _refuse_offloaded(inner)
        self._keys = keyring(keys)
        self._cipher = _cipher()

    def __repr__(self) -> str:
        return f"Encrypted({self.inner!r}, {self._keys!r})"

    def reads(self, headers: Mapping[str, str]) -> bool:
        """See the port."""
        return outermost(headers) == WORD and self.inner.reads(unwrapped(headers))

    def key_id(self, value: Value) -> str | None:
        """Return the id of the key that a stored value was encrypted with; None if it is not encrypted."""
        if outermost(value.headers) != WORD:
            return None
        return _Sealed(stored_bytes(value, _WHAT)).key_id

    def wrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """See the base."""
        key = self._keys.current
        name = key.id.encode()
        start = bytes((_VERSION, len(name))) + name + key.check
        associated = _associated(start, value.headers, purpose, at)
        both = _derived(key, purpose, at, 2 * _KEY_SIZE)
        encryption_key, nonce_key = both[:_KEY_SIZE], both[_KEY_SIZE:]
        plain = _plain(value.data)
        nonce = hmac.digest(nonce_key, associated + plain, "sha256")[:_NONCE_SIZE]
        sealed = self._cipher(encryption_key).encrypt(nonce, plain, associated)
        return Value(wrapped(value.headers, WORD), as_text(start + nonce + sealed))

    def unwrap(self, value: Value, purpose: Purpose, at: str) -> Value:
        """See the base."""
        if value.data is None and CONTENT_ENCODING not in value.headers:
            raise DecodingError(
                "no value was stored, where an encrypted one is expected.",
                hint="Whoever settled the promise has to use the same codec; None is encrypted, too.",
            )
        if outermost(value.headers) != WORD:
            raise NotReadableHere(
                "stored data is not encrypted, and is refused.",
                hint="While values that were written before are to be read, use Codecs(Encrypted(...), JsonCodec()).",
            )
        sealed = _Sealed(stored_bytes(value, _WHAT))
        key = self._key_of(sealed)
        headers = unwrapped(value.headers)
        associated = _associated(sealed.start, headers, purpose, at)
        encryption_key = _derived(key, purpose, at, _KEY_SIZE)
        try:
            plain: bytes = self._cipher(encryption_key).decrypt(sealed.nonce, sealed.rest, associated)
        except Exception:  # noqa: BLE001 - whatever the library says of it, it does not come from a holder of the key
            raise DecodingError(
                f"stored data can't be decrypted: it was changed, or written for another promise or purpose than "
                f"{_place(purpose, at)}.",
                hint="It was not written here by a holder of the key. See who can write to the store.",
            ) from None
        return Value(headers, _data(plain))

    def _key_of(self, sealed: _Sealed) -> Key:
        key = self._keys.find(sealed.key_id)
        if key is None:
            raise NotReadableHere(
                f"stored data is encrypted with the key {sealed.key_id!r:.80}, which is not among the keys here: "
                f"{', '.join(map(repr, self._keys.ids))}.",
                hint="Give this worker that key, behind the current one.",
            )
        if not hmac.compare_digest(key.check, sealed.check):
            raise NotReadableHere(
                f"stored data is encrypted with another key of the id {key.id!r} than the one here.",
                hint="Two keys were given the same id: correct the keys of this worker, or of the one that wrote it.",
            )
        return key


class _Sealed:
    """The parts of stored bytes."""

    __slots__ = ("check", "key_id", "nonce", "rest", "start")

    def __init__(self, raw: bytes) -> None:
        if raw[0] != _VERSION:
            raise NotReadableHere(
                f"stored data is encrypted in a form (number {raw[0]}) that this version does not know.",
                hint="Use the version of the library that wrote it, or a newer one.",
            )
        name_end = 2 + raw[1] if len(raw) > 1 else 2
        start_end = name_end + CHECK_SIZE
        nonce_end = start_end + _NONCE_SIZE
        if len(raw) < nonce_end + 1 + _TAG_SIZE:
            raise DecodingError("stored data is too short for an encrypted value: it was cut.")
        self.key_id = raw[2:name_end].decode("ascii", "backslashreplace")
        self.check = raw[name_end:start_end]
        self.start = raw[:start_end]
        self.nonce = raw[start_end:nonce_end]
        self.rest = raw[nonce_end:]


def _associated(start: bytes, headers: Mapping[str, str], purpose: Purpose, at: str) -> bytes:
    """Return what is not encrypted and can't be changed: how to read the value, and where it belongs."""
    inner = headers.get(CONTENT_TYPE, ""), headers.get(CONTENT_ENCODING, "")
    return framed_texts(_LABEL, start.hex(), purpose.value, at, *inner)


def _derived(key: Key, purpose: Purpose, at: str, size: int) -> bytes:
    """Return the key to encrypt with and, behind it, the key for nonces, which reading does not need."""
    return key.derive(framed_texts(_LABEL, purpose.value, at), size)


def _place(purpose: Purpose, at: str) -> str:
    return f"the {purpose.value} of {at}" if at else f"a {purpose.value} without a place"


def _plain(data: str | None) -> bytes:
    if data is None:
        return _NOTHING
    raw = as_bytes(data)
    return _TEXT + data.encode("utf-8", "surrogatepass") if raw is None else _BYTES + raw


def _data(plain: bytes) -> str | None:
    form, body = plain[:1], plain[1:]
    if form == _NOTHING:
        return None
    return as_text(body) if form == _BYTES else body.decode("utf-8", "surrogatepass")


def _refuse_offloaded(inner: Any) -> None:
    codec = inner
    while codec is not None:
        if isinstance(codec, Offloaded) and codec.threshold is not None:
            raise UsageError(
                "Encrypted around Offloaded would keep large values in the blob store unencrypted.",
                hint="Write Offloaded(Encrypted(...), blobs).",
            )
        codec = getattr(codec, "inner", None)


def _cipher() -> Any:
    # Imported here: the library is an extra, and takes time to load.
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as said
    except ImportError:
        raise UsageError(
            "Encrypted needs the library cryptography, which is not installed.",
            hint="Install resonate-durable[encryption].",
        ) from None
    return AESGCM


if TYPE_CHECKING:
    _implements: type[Codec] = Encrypted
