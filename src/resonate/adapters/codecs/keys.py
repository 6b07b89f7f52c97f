"""Secret keys by name, and the keys derived from them.

Law 1: no text, `repr` or error shows a key.
Law 2: the first key writes, all of them read.
Law 3: a given key is never used as such: each use has keys derived from it (HKDF-SHA256, RFC 5869), so that the same
    key given to two codecs is two keys.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypeGuard

from attrs import field, frozen

from resonate.errors import UsageError

SIZES: Final = (16, 24, 32)
LONGEST_ID: Final = 255
ONLY: Final = "default"
CHECK_SIZE: Final = 4
_HASH: Final = "sha256"
_HASH_SIZE: Final = 32
_MAKE: Final = "Make one with secrets.token_bytes(32), and keep it where you keep passwords."


@frozen
class Key:
    """A key under its name, ready to derive others from."""

    id: str
    check: bytes = field(repr=False)
    """A few bytes that tell this key from others of its name; they say nothing else about it."""
    _extracted: bytes = field(repr=False)

    def derive(self, info: bytes, size: int) -> bytes:
        """Return `size` bytes that belong to this key and to `info` alone (HKDF-Expand)."""
        out = block = b""
        for count in range(1, -(-size // _HASH_SIZE) + 1):
            block = hmac.digest(self._extracted, block + info + bytes((count,)), _HASH)
            out += block
        return out[:size]


class Keyring:
    """Keys by id, as `{"2026-11": key, "2025-03": older}`: the first writes, all read.

    To rotate, put a new key in front once every worker has it among its keys, and take the old one out once nothing
    that it wrote is needed any more.

    Args:
        keys: keys of 16, 24 or 32 random bytes by their ids; or one key, whose id is then "default".
    """

    def __init__(self, keys: Mapping[str, bytes] | bytes) -> None:
        given: Any = {ONLY: keys} if isinstance(keys, bytes | bytearray | str) else keys
        if not _is_mapping(given) or not given:
            raise UsageError("Keys are bytes by id, at least one.", hint=f"Write {{'2026-11': key}}. {_MAKE}")
        self._keys = {id: _key(id, key) for id, key in given.items()}
        self.current = next(iter(self._keys.values()))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, current first."""
        return tuple(self._keys)

    def find(self, id: str) -> Key | None:
        """Return the key of this id."""
        return self._keys.get(id)

    def __repr__(self) -> str:
        return f"Keyring(ids={self.ids!r})"


Keys: TypeAlias = Keyring | Mapping[str, bytes] | bytes
"""What a codec takes for keys."""


def keyring(keys: Keys) -> Keyring:
    """Return keys as a keyring. Raise `UsageError`."""
    return keys if isinstance(keys, Keyring) else Keyring(keys)


def _is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _key(id: Any, key: Any) -> Key:
    if type(id) is not str or not id or not id.isascii() or not id.isprintable() or len(id) > LONGEST_ID:
        raise UsageError(f"A key's id is a short text of ASCII characters, not {id!r:.80}.")
    if not isinstance(key, bytes | bytearray):
        raise UsageError(f"The key {id!r} is {type(key).__name__}, where bytes are needed.", hint=_MAKE)
    if len(key) not in SIZES:
        raise UsageError(f"The key {id!r} has {len(key)} bytes; a key has 16, 24 or 32.", hint=_MAKE)
    extracted = hmac.digest(bytes(_HASH_SIZE), bytes(key), _HASH)
    check = hmac.digest(extracted, b"resonate key check\x01", _HASH)[:CHECK_SIZE]
    return Key(id, check, extracted)


def framed(*parts: bytes) -> bytes:
    """Join byte strings so that no other parts give the same: each behind its length."""
    return b"".join([piece for part in parts for piece in (len(part).to_bytes(8, "big"), part)])


def framed_texts(*texts: str) -> bytes:
    """As `framed`, of texts; whatever is in an id has bytes of its own."""
    return framed(*[text.encode("utf-8", "surrogatepass") for text in texts])
