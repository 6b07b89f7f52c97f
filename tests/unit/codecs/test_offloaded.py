from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from resonate.adapters.codecs import blobs as blobs_module
from resonate.adapters.codecs.blobs import DirectoryBlobs
from resonate.adapters.codecs.checked import Checked
from resonate.adapters.codecs.choice import Codecs
from resonate.adapters.codecs.encrypted import Encrypted
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.codecs.limited import Limited, limited
from resonate.adapters.codecs.offloaded import Offloaded
from resonate.core.protocol.records import NO_VALUE, Value
from resonate.core.values import UNTYPED, Call
from resonate.errors import (
    ApplicationError,
    DecodingError,
    EncodingError,
    NotFound,
    NotReadableHere,
    ServerError,
    StoreError,
    UsageError,
)

LARGE = "large " * 1_000
CONTENT = f'"{LARGE}"'.encode()
KEY = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def blobs(tmp_path):
    return DirectoryBlobs(tmp_path / "some" / "blobs")


@pytest.fixture
def codec(blobs):
    return Offloaded(JsonCodec(), blobs, 1_000)


def files(blobs):
    return sorted(path for path in blobs.directory.rglob("*") if path.is_file())


def reference(content: object) -> Value:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"content-type": "application/json", "content-encoding": "blob"}
    return Value(headers, base64.b64encode(raw).decode())


# ---------------------------------------------------------------- the codec


def test_large_values_are_files_named_by_their_content(codec, blobs):
    value = codec.encode(LARGE)
    assert value.headers == {"content-type": "application/json", "content-encoding": "blob"}
    assert json.loads(base64.b64decode(value.data)) == {"sha256": KEY, "size": len(CONTENT)}
    assert files(blobs) == [blobs.directory / KEY[:2] / KEY]
    assert files(blobs)[0].read_bytes() == CONTENT
    assert codec.decode(value) == LARGE
    assert codec.encode(LARGE) == value
    assert len(files(blobs)) == 1


def test_small_values_stay_where_they_are(codec, blobs):
    for value in (None, 1, "a" * 700):
        assert codec.encode(value) == JsonCodec().encode(value)
        assert codec.decode(codec.encode(value)) == value
    assert not blobs.directory.exists()


def test_calls_and_failures_are_moved_too(codec, blobs):
    call = Call(func="f", args=(LARGE,))
    assert codec.decode_call(codec.encode_call(call, UNTYPED), lambda *_: UNTYPED) == call
    error = ValueError("x" * 9_000)
    assert repr(codec.decode_error(codec.encode_error(error))) == repr(error)
    assert len(files(blobs)) == 2


def test_text_that_is_not_base64_comes_back(blobs):
    class Plain(JsonCodec):
        def encode(self, value, *_args, **_kwargs):
            return Value({}, value)

        def decode(self, value, *_args, **_kwargs):
            return value.data

    codec = Offloaded(Plain(), blobs, 1_000)
    for text in ("é" * 1_001, "a" * 1_001, "a" * 1_004, "\ud800" * 1_001):
        assert codec.decode(codec.encode(text)) == text


def test_blobs_are_encrypted_where_encryption_is_inside(blobs):
    codec = Offloaded(Encrypted(JsonCodec(), b"k" * 32), blobs, 1_000)
    value = codec.encode(LARGE, at="a")
    assert value.headers["content-encoding"] == "aes-gcm, blob"
    assert b"large" not in files(blobs)[0].read_bytes()
    assert codec.decode(value, at="a") == LARGE
    with pytest.raises(DecodingError, match="can't be decrypted"):
        codec.decode(value, at="b")


def test_without_a_threshold_nothing_is_moved_and_all_is_read(codec, blobs):
    reading = Offloaded(JsonCodec(), blobs, None)
    assert reading.encode(LARGE) == JsonCodec().encode(LARGE)
    assert reading.decode(codec.encode(LARGE)) == LARGE


def test_what_reading_would_refuse_writing_refuses(blobs):
    small, roomy = Offloaded(JsonCodec(), blobs, 1_000, largest=5_000), Offloaded(JsonCodec(), blobs, 1_000)
    with pytest.raises(EncodingError, match=r"the value of a takes 8,004 characters; .* 5,000"):
        small.encode(LARGE, at="a")
    with pytest.raises(DecodingError, match="refers to a blob of 6,002 bytes; the limit is 5,000"):
        small.decode(roomy.encode(LARGE))


def test_a_missing_blob_is_named_with_its_place(codec, blobs):
    value = codec.encode(LARGE)
    files(blobs)[0].unlink()
    with pytest.raises(DecodingError, match=rf"There is no blob {KEY} in {blobs.directory}"):
        codec.decode(value)
    assert isinstance(codec.decode_error(value), NotReadableHere)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: raw + b"x", lambda raw: b"X" + raw[1:]])
def test_a_damaged_blob_is_not_believed_and_mended_when_put_again(codec, blobs, damage):
    value = codec.encode(LARGE)
    files(blobs)[0].write_bytes(damage(CONTENT))
    with pytest.raises(DecodingError, match=f"{KEY} in DirectoryBlobs.* is not what was put there"):
        codec.decode(value)
    assert codec.encode(LARGE) == value
    assert codec.decode(value) == LARGE


def test_no_reference_leads_out_of_the_directory(codec, blobs):
    codec.encode(LARGE)
    (blobs.directory.parent / "secret").write_text("secret")
    for key in ("../secret", "..", "", "/etc/passwd", "a" * 63, "a" * 65, KEY.upper(), KEY + "\n", "g" * 64, "a/" * 32):
        with pytest.raises(DecodingError):
            codec.decode(reference({"sha256": key, "size": 6}))
        for ask in (lambda key=key: blobs.get(key, 6), lambda key=key: blobs.put(key, b"")):
            with pytest.raises(UsageError, match="64 hexadecimal digits"):
                ask()
    assert len(files(blobs)) == 1


def test_what_is_no_reference_is_refused(codec):
    for content in (
        {"sha256": KEY},
        {"sha256": KEY, "size": -1},
        {"sha256": KEY, "size": 1.5},
        {"sha256": KEY, "size": True},
        {"sha256": KEY, "size": 10**30},
        {"sha256": None, "size": 1},
        [],
        None,
        b"\xff",
        b"{",
        b"[" * 700,
        {"sha256": KEY, "size": 6_002, "more": "x" * 1_000},
    ):
        with pytest.raises(DecodingError):
            codec.decode(reference(content))
    for data in (None, "", "%%"):
        with pytest.raises(DecodingError):
            codec.decode(Value({"content-encoding": "blob"}, data))
    assert codec.decode(NO_VALUE) is None


def test_a_failure_that_can_not_be_kept_is_written_in_brief(codec, monkeypatch):
    monkeypatch.setattr(blobs_module.os, "fsync", no_space)
    back = codec.decode_error(codec.encode_error(ValueError("x" * 9_000)))
    assert isinstance(back, ApplicationError)
    assert back.name == "ValueError"
    assert "no space left" in back.message
    with pytest.raises(EncodingError, match="no space left") as caught:
        codec.encode(LARGE)
    assert caught.value.hint


@pytest.mark.parametrize(
    "make",
    [
        lambda: Offloaded(JsonCodec(), None),
        lambda: Offloaded(JsonCodec(), "blobs"),
        lambda: Offloaded(JsonCodec(), DirectoryBlobs("x"), -1),
        lambda: Offloaded(JsonCodec(), DirectoryBlobs("x"), "10"),
        lambda: Offloaded(JsonCodec(), DirectoryBlobs("x"), largest=0),
        lambda: Offloaded(None, DirectoryBlobs("x")),
        lambda: Limited(JsonCodec(), 0),
        lambda: Limited(JsonCodec(), 1.5),
    ],
)
def test_what_can_not_be_is_refused_at_the_start(make):
    with pytest.raises(UsageError):
        make()


# ---------------------------------------------------------------- the directory


def no_space(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_typed_error_and_leaves_nothing_half_written(blobs, monkeypatch):
    blobs.put(KEY, CONTENT)
    other = hashlib.sha256(b"other").hexdigest()
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(blobs_module.os, name, no_space)
            if name == "replace":
                patched.setattr(blobs_module.Path, "replace", no_space)
            with pytest.raises(
                ServerError, match=rf"In {blobs.directory}, the blob .* there is no space left"
            ) as caught:
                blobs.put(other, b"other")
        assert caught.value.retriable
        assert files(blobs) == [blobs.directory / KEY[:2] / KEY]
    blobs.put(other, b"other")
    assert blobs.get(other, 5) == b"other"


def test_the_disk_has_a_blob_and_its_name_before_put_returns(blobs, monkeypatch):
    """What a power cut leaves: the content is flushed before the name is there, and the name before the return."""
    happened: list[str] = []
    fsync, replace = os.fsync, blobs_module.Path.replace

    def flushed(descriptor):
        happened.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def renamed(path, target):
        happened.append("rename")
        return replace(path, target)

    monkeypatch.setattr(blobs_module.os, "fsync", flushed)
    monkeypatch.setattr(blobs_module.Path, "replace", renamed)
    blobs.put(KEY, CONTENT)
    assert happened[-3:] == ["file", "rename", "folder"]
    assert set(happened[:-3]) == {"folder"}  # the new folders, in theirs
    happened.clear()
    blobs.put(KEY, CONTENT)  # it is there, and may have been put by a process that was cut off before it flushed
    assert happened == ["file", "folder"]


def test_putting_again_makes_it_young(blobs):
    blobs.put(KEY, CONTENT)
    path = files(blobs)[0]
    os.utime(path, (0, 0))
    blobs.put(KEY, CONTENT)
    assert time.time() - path.stat().st_mtime < 100


def test_what_a_crash_left_beside_is_passed_over(blobs):
    blobs.put(KEY, CONTENT)
    beside = blobs.directory / KEY[:2] / f".{KEY}.1-abc"
    beside.write_bytes(CONTENT[:10])
    files(blobs)[1].unlink()
    with pytest.raises(NotFound):
        blobs.get(KEY, len(CONTENT))
    blobs.put(KEY, CONTENT)
    assert blobs.get(KEY, len(CONTENT)) == CONTENT


def test_many_threads_may_put_the_same(blobs):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: blobs.put(KEY, CONTENT), range(64)))
    assert files(blobs) == [blobs.directory / KEY[:2] / KEY]
    assert blobs.get(KEY, len(CONTENT)) == CONTENT


def test_no_more_is_read_than_was_asked_for(blobs):
    blobs.put(KEY, CONTENT)
    assert blobs.get(KEY, 10) == CONTENT[:11]


def test_a_place_that_refuses_is_not_asked_again(blobs):
    blobs.directory.parent.mkdir(parents=True)
    blobs.directory.write_text("a file")
    for ask in (lambda: blobs.put(KEY, CONTENT), lambda: blobs.get(KEY, 1)):
        with pytest.raises(StoreError, match="Give this user the right") as caught:
            ask()
        assert not caught.value.retriable


# ---------------------------------------------------------------- the limit


def test_the_limit_counts_bytes_of_what_is_stored():
    codec = Limited(JsonCodec(), 16)
    assert codec.decode(codec.encode("a" * 10)) == "a" * 10
    with pytest.raises(EncodingError, match=r"the value of p:1 would take 20 bytes in the store; the limit is 16"):
        codec.encode("a" * 11, at="p:1")

    class Plain(JsonCodec):
        def encode(self, value, *_args, **_kwargs):
            return Value({}, value)

    Limited(Plain(), 16).encode("é" * 8)
    with pytest.raises(EncodingError, match="would take 17 bytes"):
        Limited(Plain(), 16).encode("é" * 8 + "a")


def test_a_failure_past_the_limit_is_written_in_brief():
    codec = Limited(JsonCodec(), 2_000)
    back = codec.decode_error(codec.encode_error(ValueError("x" * 9_000)))
    assert isinstance(back, ApplicationError)
    assert back.name == "ValueError"
    assert "2,000" in back.message
    assert isinstance(codec.decode_error(Limited(JsonCodec(), 1).encode_error(ValueError("no"))), ApplicationError)


def test_a_codec_with_a_limit_gets_no_other():
    own = Encrypted(Limited(JsonCodec(), 10_000_000), b"k" * 32)
    assert limited(own) is own
    assert isinstance(limited(Encrypted(JsonCodec(), b"k" * 32)), Limited)
    assert repr(limited(JsonCodec())).endswith("2000000)")


def test_a_limit_is_found_behind_what_checks_and_chooses():
    own = Limited(JsonCodec(), 10_000_000)
    for codec in (Checked(own), Codecs(own, JsonCodec()), Checked(Codecs(Encrypted(own, b"k" * 32)))):
        assert limited(codec) is codec
    assert isinstance(limited(Codecs(JsonCodec(), own)), Limited)
