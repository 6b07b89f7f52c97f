"""The codecs that are attacked, each with what it wrote honestly."""

from __future__ import annotations

import base64
import gzip
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from resonate import (
    Codecs,
    Compressed,
    DirectoryBlobs,
    Encrypted,
    JsonCodec,
    Limited,
    Offloaded,
    PickleCodec,
    PromiseTimedOut,
)
from resonate.core.protocol.records import Value
from resonate.core.values import Call, Codec, Signature
from tests.unit.codecs.samples import CASES
from tests.zstandard import zstd

AT = "order:1"
KEYS = {"2026": b"k" * 32, "2025": b"o" * 32}
MAX_UNPACKED = 1_000_000
JSON = {"content-type": "application/json"}
SIGNATURE = Signature(positional=(int, list[str], dict[str, float]), keyword={"x": bool}, rest=Any, extra=Any)


@frozen(kw_only=True)
class Honest:
    """A value as a codec wrote it, and what it stands for."""

    at: str
    value: Value
    type_: Any
    original: Any

    @property
    def declared(self) -> Any:
        """What it is read as; calls and failures as anything."""
        return Any if self.type_ is Call or self.type_ is Exception else self.type_


@frozen(kw_only=True)
class Subject:
    """A codec to attack.

    Args:
        codec: reads the payloads.
        honest: what it wrote, or what somebody with the keys wrote.
        wrap: makes a payload of JSON as somebody without keys can; None where nobody can.
        keyed: whether nothing but what was written is read.
    """

    codec: Codec
    honest: Sequence[Honest]
    wrap: Callable[[bytes], Value] | None
    keyed: bool = False


def _plain(raw: bytes) -> Value:
    return Value(JSON, base64.b64encode(raw).decode())


def _packed(word: str) -> Callable[[bytes], Value]:
    pack = gzip.compress if word == "gzip" else zstd.compress
    return lambda raw: Value({**JSON, "content-encoding": word}, base64.b64encode(pack(raw)).decode())


def _honest(codec: Codec, *, one_place: bool = False) -> list[Honest]:
    """Return every sample, call and failure as a codec writes it, each for a place of its own."""

    def place(number: int) -> str:
        return "" if one_place else f"{AT}.{number}"

    cases = [(type_, value) for type_, values in CASES for value in values]
    written = [
        Honest(at=place(number), value=codec.encode(value, type_, at=place(number)), type_=type_, original=value)
        for number, (type_, value) in enumerate(cases)
    ]
    call = Call(func="f", args=(1, ["a"], {"a": 1.5}), kwargs={"x": True}, version=2)
    at = place(len(cases))
    written.append(Honest(at=at, value=codec.encode_call(call, SIGNATURE, at=at), type_=Call, original=call))
    group = ExceptionGroup("several", [KeyError("k"), OSError(2, "no", "f"), PromiseTimedOut("late", step="a")])
    group.add_note("a note")
    group.__cause__ = ValueError("cause")
    at = place(len(cases) + 1)
    written.append(Honest(at=at, value=codec.encode_error(group, at=at), type_=Exception, original=group))
    return written


def _blobs() -> DirectoryBlobs:
    return DirectoryBlobs(tempfile.mkdtemp(prefix="hostile-"))


def _json() -> Subject:
    return Subject(codec=JsonCodec(), honest=_honest(JsonCodec()), wrap=_plain)


def _compressed(word: Any) -> Subject:
    codec = Compressed(JsonCodec(), format=word, above=0, max_unpacked=MAX_UNPACKED)
    return Subject(codec=codec, honest=_honest(codec), wrap=_packed(word))


def _pickle() -> Subject:
    codec = PickleCodec(keys=KEYS)
    return Subject(codec=codec, honest=_honest(codec), wrap=None, keyed=True)


def _encrypted() -> Subject:
    codec = Encrypted(JsonCodec(), KEYS)
    return Subject(codec=codec, honest=_honest(codec), wrap=None, keyed=True)


def _encrypted_compressed() -> Subject:
    codec = Encrypted(Compressed(JsonCodec(), above=0, max_unpacked=MAX_UNPACKED), KEYS)
    return Subject(codec=codec, honest=_honest(codec), wrap=None, keyed=True)


def _encrypted_pickle() -> Subject:
    """The worst that can be had: unsigned pickles, which encryption alone protects."""
    codec = Encrypted(PickleCodec(allow_unsigned=True), KEYS)
    return Subject(codec=codec, honest=_honest(codec), wrap=None, keyed=True)


def _insider() -> Subject:
    """Hostile JSON, encrypted by somebody who has the key: what is inside is not trusted either."""
    codec = Encrypted(Compressed(JsonCodec(), max_unpacked=MAX_UNPACKED), KEYS)
    sealing = Encrypted(_Given(), KEYS)
    return Subject(
        codec=codec, honest=_honest(codec, one_place=True), wrap=lambda raw: sealing.encode(_plain(raw), at="")
    )


def _offloaded() -> Subject:
    """Large values are blobs; attackers change what is in the promise, and not the files."""
    codec = Offloaded(JsonCodec(), _blobs(), 40)
    return Subject(codec=codec, honest=_honest(codec), wrap=_plain)


def _forged_blobs() -> Subject:
    """The attacker can write blobs, too."""
    codec = Offloaded(JsonCodec(), _blobs(), 0)
    return Subject(codec=codec, honest=_honest(codec), wrap=lambda raw: codec.move_out(_plain(raw)))


def _limited() -> Subject:
    codec = Limited(JsonCodec())
    return Subject(codec=codec, honest=_honest(codec), wrap=_plain)


def _choice() -> Subject:
    """All formats beside each other: an attacker chooses which is read."""
    packed = Compressed(JsonCodec(), above=0, max_unpacked=MAX_UNPACKED)
    parts = (Encrypted(packed, KEYS), PickleCodec(keys=KEYS), packed)
    codec = Codecs(*parts)
    return Subject(codec=codec, honest=[one for part in parts for one in _honest(part)], wrap=_packed("gzip"))


class _Given(JsonCodec):
    """Writes the values that it is given."""

    def encode(self, value: Any, type_: Any = Any, *, at: str = "") -> Value:
        return value


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "json": _json,
    "limited": _limited,
    "gzip": lambda: _compressed("gzip"),
    "zstd": lambda: _compressed("zstd"),
    "encrypted": _encrypted,
    "encrypted-compressed": _encrypted_compressed,
    "encrypted-pickle": _encrypted_pickle,
    "insider": _insider,
    "offloaded": _offloaded,
    "forged-blobs": _forged_blobs,
    "pickle": _pickle,
    "choice": _choice,
}
