"""Payloads that somebody changed who can write to the store. They are seeded: each can be made again by its number."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from resonate.core.protocol.records import Value
from tests.zstandard import zstd

DEEP = 20_000
ATOMS: Sequence[bytes] = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"9" * 5_000,
    b"-" + b"9" * 400,
    b"1" + b"0" * 400,
    b"1E+999999999",
    b"0." + b"1" * 3_000,
    b"-0",
    b"-0.0",
    b"00",
    b"0x10",
    b"1_000",
    b"18446744073709551616",
    b"true",
    b"null",
    b"nul",
    b'""',
    b'"\\ud800"',
    b'"\\udfff\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b'"\\u0000"',
    b'"\x00"',
    b'"__INF__"',
    b'"__NAN__"',
    b'"__NEG_INF__x"',
    b'"__"',
    b"[" * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP,
    b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
    b"[" * 1_000 + b"]" * 1_000,
    b'"' + b"a" * 100_000 + b'"',
    b"[" + b"0," * 30_000 + b"0]",
    b'"2024-01-01T00:00:00[../../etc/passwd]"',
    b'"2024-01-01T00:00:00+00:00[Europe/Berlin]"',
    b'"P1D"',
    b'"P999999999999999D"',
    b'"1E+400"',
    b'"sNaN"',
    b'"1/0"',
    b'"1e1000000000"',
    b'"' + b"9" * 10_000 + b'"',
    b'"::ffff:0:0"',
    b'"' + b"1" * 5_000 + b"/" + b"3" * 5_000 + b'"',
    b'"/etc/passwd"',
    b'"Etc/../../../etc/passwd"',
    b'"tzdata"',
    b"{}",
    b"[]",
    b'{"__type":"error","message":"no","__py_pickle":"gASVHgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAR0cnVllIWUUpQu"}',
    b'{"__type":"error","name":"system","type":"system","module":"os","args":["true"]}',
    b'{"__type":"error","name":"OSError","type":"OSError","module":"builtins","args":[1,"a","b",null,"c"]}',
    b'{"__type":"aggregate_error","message":"m","errors":[{"__type":"error","message":"x"}]}',
    b'{"$type":"os.system","value":"true"}',
    b'{"$type":"UUID","value":1}',
    b'{"$type":"Decimal","value":"1E+999999999"}',
    b'{"a":1,"a":2}',
    b'{"func":"f","func":"g","args":[],"args":[1]}',
    b'{"func":"f","args":{},"kwargs":[]}',
    b'{"func":"f","args":[],"version":1e400}',
    b'{"func":"f","args":[],"version":' + b"9" * 5_000 + b"}",
    b'{"func":"f","args":[],"kwargs":{"__class__":1,"self":2,"":3}}',
    b'{"__proto__":{"a":1},"constructor":null}',
)
"""JSON, or nearly, that is known to be hard on somebody."""

NAMES = ("content-type", "content-encoding", "Content-Type", "resonate:site", "")
WORDS = (
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "application/vnd.resonate.pickle",
    "text/plain",
    "gzip",
    "zstd",
    "aes-gcm",
    "blob",
    "gzip, gzip",
    "zstd, aes-gcm",
    "aes-gcm, blob",
    "aes-gcm, aes-gcm",
    "gzip,",
    ",",
    ", ",
    " ",
    "",
    "identity",
    "br",
    "x" * 10_000,
    "gzip, " * 2_000 + "gzip",
    "é\ud800",
    "\x00",
    "GZIP",
    "gzip;q=1",
    "blob, blob",
)


@cache
def bombs() -> tuple[tuple[str, bytes], ...]:
    """Short data that unpacks to 100 MB, or claims that it does."""
    size, part = 100_000_000, bytes(1_000_000)
    deflating, packing = zlib.compressobj(9, zlib.DEFLATED, 31), zstd.ZstdCompressor()
    parts = size // len(part)
    window = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    return (
        ("gzip", b"".join([deflating.compress(part) for _ in range(parts)]) + deflating.flush()),
        ("zstd", b"".join([packing.compress(part) for _ in range(parts)]) + packing.flush()),
        ("zstd", zstd.compress(bytes(size))),
        ("zstd", window.compress(b"1") + window.flush()),
        ("gzip", gzip.compress(b"[" * 500_000)),
        ("zstd", zstd.compress(b'"' + b"a" * 900_000 + b'"')),
        ("gzip", gzip.compress(b"1") * 1_000),
    )


def as_data(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


class Mutator:
    """Makes hostile payloads of honest ones.

    Args:
        honest: values as the codec wrote them.
        wrap: makes a payload of JSON text as somebody without keys can; None where nobody without a key can.
        random: where choices come from.
    """

    def __init__(self, honest: Sequence[Value], wrap: Callable[[bytes], Value] | None, random: Random) -> None:
        self._honest = honest
        self._wrap = wrap
        self._random = random
        self._texts = [base64.b64decode(value.data) for value in honest if value.data]

    def payload(self) -> tuple[Value, int]:
        """Return a payload, and the number of the honest one that it was made of."""
        random = self._random
        number = random.randrange(len(self._honest))
        value = self._honest[number]
        ways: list[Callable[[Value], Value]] = [self._bytes, self._bytes, self._bytes, self._text, self._headers]
        if self._wrap is not None:
            ways += [self._json] * 6
        if random.random() < 0.002:
            return self._bomb(value), number
        value = random.choice(ways)(value)
        while random.random() < 0.25:
            value = random.choice([self._bytes, self._text, self._headers])(value)
        return value, number

    def _bytes(self, value: Value) -> Value:
        """Change what is in the base64."""
        try:
            raw = bytearray(base64.b64decode(value.data or "", validate=True))
        except ValueError:
            return self._text(value)
        for _ in range(self._random.choice((1, 1, 1, 2, 5))):
            self._change(raw)
        return Value(value.headers, as_data(bytes(raw)))

    def _change(self, raw: bytearray) -> None:
        random = self._random
        at = random.randrange(len(raw) + 1)
        to = min(len(raw), at + random.choice((1, 1, 2, 4, 16, 64)))
        match random.randrange(8):
            case 0 if at < len(raw):
                raw[at] ^= 1 << random.randrange(8)
            case 1 if at < len(raw):
                raw[at] = random.choice(b'\x00\xff"{}[],:0-9.eE\\u/')
            case 2:
                del raw[at:to]
            case 3:
                raw[at:at] = raw[at:to] * random.choice((1, 2, 50))
            case 4:
                raw[at:at] = random.randbytes(random.choice((1, 2, 8, 100)))
            case 5:
                del raw[at:]
            case 6:
                other = random.choice(self._texts)
                raw[at:] = other[random.randrange(len(other) + 1) :]
            case _:
                raw[at:to] = random.choice(ATOMS[:28])

    def _text(self, value: Value) -> Value:
        """Change the base64 itself."""
        random = self._random
        text = value.data or ""
        at = random.randrange(len(text) + 1)
        match random.randrange(7):
            case 0:
                data = None
            case 1:
                data = text[:at]
            case 2:
                data = text[:at] + random.choice("=%-_ \n\x00é\ud800A") + text[at:]
            case 3:
                data = text[:at] + random.choice("=%-_ \n\x00é\ud800A") + text[at + 1 :]
            case 4:
                data = random.choice(("", "=", "AAAA", "\ud800", "{}", "null", text * 2, text + "====", " " + text))
            case 5:
                data = random.choice(self._honest).data
            case _:
                data = text[at:] + text[:at]
        return Value(value.headers, data)

    def _headers(self, value: Value) -> Value:
        random = self._random
        headers = dict(value.headers)
        match random.randrange(4):
            case 0 if headers:
                headers.pop(random.choice(list(headers)))
            case 1:
                headers = dict(random.choice(self._honest).headers)
            case 2:
                encoding = headers.get("content-encoding", "")
                headers["content-encoding"] = f"{encoding}, {random.choice(WORDS)}"
            case _:
                headers[random.choice(NAMES)] = random.choice(WORDS)
        return Value(headers, value.data)

    def _json(self, value: Value) -> Value:
        """Have a part of some JSON replaced by what is known to be hard, and wrap it as an attacker can."""
        assert self._wrap is not None
        random = self._random
        if random.random() < 0.2:
            return self._wrap(random.choice(ATOMS))
        try:
            tree = json.loads(random.choice(self._json_texts()))
        except ValueError:
            return self._bytes(value)
        mark = "\x01hole\x01"
        tree = self._with_hole(tree, mark)
        text = json.dumps(tree, ensure_ascii=random.random() < 0.5, separators=(",", ":"))
        return self._wrap(text.encode().replace(json.dumps(mark).encode(), random.choice(ATOMS)))

    def _json_texts(self) -> Sequence[bytes]:
        return self._plain if self._plain is not None else self._texts

    _plain: Sequence[bytes] | None = None

    def grow_from(self, texts: Sequence[bytes]) -> None:
        """Take these JSON texts to make new ones of, where the codec's own data is not JSON."""
        self._plain = texts

    def _with_hole(self, tree: Any, mark: str) -> Any:
        random = self._random
        if isinstance(tree, dict) and tree and random.random() < 0.8:
            key = random.choice(list(tree))
            match random.randrange(5):
                case 0:
                    return {name: item for name, item in tree.items() if name != key} | {"$type": mark}
                case 1:
                    return {mark if name == key else name: item for name, item in tree.items()}
                case _:
                    return {**tree, key: self._with_hole(tree[key], mark)}
        if isinstance(tree, list) and tree and random.random() < 0.8:
            at = random.randrange(len(tree))
            return [*tree[:at], self._with_hole(tree[at], mark), *tree[at + 1 :]]
        return mark

    def _bomb(self, value: Value) -> Value:
        word, raw = self._random.choice(bombs())
        headers = {**value.headers, "content-encoding": word}
        return Value(headers, as_data(raw))
