from __future__ import annotations

import base64
import gzip
import random
import subprocess
import sys
import tracemalloc
import zlib

import pytest

from resonate.adapters.codecs import compressed, zstd
from resonate.adapters.codecs.compressed import Compressed
from resonate.adapters.codecs.encrypted import Encrypted
from resonate.adapters.codecs.json import JsonCodec
from resonate.core.protocol.records import NO_VALUE, Value
from resonate.errors import DecodingError, EncodingError, UsageError
from tests.zstandard import zstd as library

FORMATS = ["zstd", "gzip"]
LONG = ["the same words again and again"] * 1_000
NOISE = base64.b64encode(random.Random(1).randbytes(100_000)).decode()  # as text it shrinks, by a quarter


def stored(word: str, packed: bytes) -> Value:
    headers = {"content-type": "application/json", "content-encoding": word}
    return Value(headers, base64.b64encode(packed).decode())


def pack(word: str, raw: bytes) -> bytes:
    return gzip.compress(raw) if word == "gzip" else library.compress(raw)


@pytest.mark.parametrize("word", FORMATS)
def test_long_values_get_short_and_any_tool_can_read_them(word):
    value = Compressed(JsonCodec(), format=word).encode(LONG)
    assert value.headers["content-encoding"] == word
    assert len(value.data) < 1_000
    packed = base64.b64decode(value.data)
    text = gzip.decompress(packed) if word == "gzip" else library.decompress(packed)
    assert text == base64.b64decode(JsonCodec().encode(LONG).data)


@pytest.mark.parametrize("word", FORMATS)
def test_short_values_and_what_does_not_get_shorter_are_left_as_they_are(word):
    codec = Compressed(JsonCodec(), format=word)
    for value in (1, "a" * 500, None):
        assert codec.encode(value) == JsonCodec().encode(value)
    dense = Compressed(Encrypted(JsonCodec(), b"k" * 32), format=word, above=0)
    assert dense.encode(LONG, at="a").headers["content-encoding"] == "aes-gcm"


def test_the_size_from_which_it_compresses_can_be_chosen():
    value = "a" * 500
    assert "content-encoding" in Compressed(JsonCodec(), above=100).encode(value).headers
    assert "content-encoding" not in Compressed(JsonCodec(), above=10_000).encode("a" * 1_000).headers


def test_zstd_is_taken_where_it_is_there_and_either_is_read_whichever_is_written(monkeypatch):
    assert Compressed(JsonCodec()).encode(LONG).headers["content-encoding"] == "zstd"
    written = {word: Compressed(JsonCodec(), format=word).encode(LONG) for word in FORMATS}
    for word in FORMATS:
        for value in written.values():
            codec = Compressed(JsonCodec(), format=word)
            assert codec.reads(value.headers)
            assert codec.decode(value) == LONG
    monkeypatch.setattr(compressed, "zstd", lambda: None)
    codec = Compressed(JsonCodec())
    assert codec.encode(LONG) == written["gzip"]
    with pytest.raises(DecodingError, match=r"does not have. Install resonate-durable\[zstd\]"):
        codec.decode(written["zstd"])
    with pytest.raises(UsageError, match=r"resonate-durable\[zstd\]"):
        Compressed(JsonCodec(), format="zstd")


def test_where_no_zstd_is_installed_there_is_none(monkeypatch):
    for name in zstd.NAMES:
        monkeypatch.setitem(sys.modules, name, None)
    assert zstd.zstd.__wrapped__() is None


@pytest.mark.parametrize("word", FORMATS)
def test_the_same_value_is_the_same_bytes_in_another_process(word):
    program = (
        "from resonate import *\n"
        f"print(Compressed(JsonCodec(), format={word!r}).encode(['the same words again and again'] * 1000).data)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == Compressed(JsonCodec(), format=word).encode(LONG).data


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("word", FORMATS)
def test_the_limit_holds_for_writing_and_reading_alike(word):
    codec = Compressed(JsonCodec(), format=word, max_unpacked=10_000)
    fits, too_large = "a" * 9_998, "a" * 9_999  # and two quotation marks
    assert codec.decode(codec.encode(fits)) == fits
    with pytest.raises(EncodingError, match="10,001 bytes; the limit for compressed values is 10,000"):
        codec.encode(too_large)
    written = Compressed(JsonCodec(), format=word).encode(too_large)
    with pytest.raises(DecodingError, match="unpacks to more than 10,000 bytes"):
        codec.decode(written)


@pytest.mark.parametrize("word", FORMATS)
def test_a_bomb_takes_no_more_memory_than_the_limit(word):
    large = 2 * 10**8
    packer = zlib.compressobj(9, zlib.DEFLATED, 31) if word == "gzip" else library.ZstdCompressor()
    bomb = b"".join([packer.compress(bytes(10**7)) for _ in range(large // 10**7)]) + packer.flush()
    assert len(bomb) < 2_000_000
    codec = Compressed(JsonCodec(), max_unpacked=1_000_000)
    value = stored(word, bomb)
    tracemalloc.start()
    try:
        with pytest.raises(DecodingError, match="unpacks to more than 1,000,000 bytes"):
            codec.decode(value)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * 1_000_000 + 3 * len(bomb)


def test_a_frame_that_asks_for_a_huge_window_is_refused():
    """The window is set aside at once, whatever the frame then holds; tracemalloc does not see it."""
    options = {library.CompressionParameter.window_log: 27, library.CompressionParameter.content_size_flag: 0}
    packer = library.ZstdCompressor(options=options)
    frame = packer.compress(b'"a"') + packer.flush()
    with pytest.raises(DecodingError, match="not zstd"):
        Compressed(JsonCodec(), max_unpacked=1_000_000).decode(stored("zstd", frame))


@pytest.mark.parametrize("level", [1, 19])
def test_what_others_write_within_the_limit_is_read_at_every_level(level):
    text = JsonCodec().encode(NOISE * 7)
    raw = base64.b64decode(text.data)
    packed = stored("zstd", library.compress(raw, level))
    assert Compressed(JsonCodec(), max_unpacked=len(raw)).decode(packed) == NOISE * 7
    packer = library.ZstdCompressor(level)  # one that does not know the size beforehand
    streamed = stored("zstd", packer.compress(raw[:1000]) + packer.compress(raw[1000:]) + packer.flush())
    assert Compressed(JsonCodec()).decode(streamed) == NOISE * 7


@pytest.mark.parametrize("word", FORMATS)
def test_what_is_not_compressed_or_not_whole_or_too_much_is_refused(word):
    packed = pack(word, b'"text"' + b" " * 5_000)
    codec = Compressed(JsonCodec())
    for broken, text in (
        (b"no such thing", "is not"),
        (packed[:-1], "was cut"),
        (packed[: len(packed) // 2], "cut"),
        (packed + b"x", "behind its end"),
        (packed + packed, "behind its end"),
    ):
        with pytest.raises(DecodingError, match=text):
            codec.decode(stored(word, broken))
    for data in (None, "", "%"):
        with pytest.raises(DecodingError):
            codec.decode(Value({"content-encoding": word}, data))
    assert codec.decode(NO_VALUE) is None


@pytest.mark.parametrize("options", [{"format": "lzma"}, {"above": -1}, {"above": "1"}, {"max_unpacked": 0}])
def test_what_can_not_be_is_refused_at_the_start(options):
    with pytest.raises(UsageError):
        Compressed(JsonCodec(), **options)
