from __future__ import annotations

import base64
import hmac
import struct
import subprocess
import sys
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from resonate.adapters.codecs.choice import Codecs
from resonate.adapters.codecs.compressed import Compressed
from resonate.adapters.codecs.encrypted import Encrypted
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.codecs.keys import Keyring
from resonate.core.protocol.records import NO_VALUE, Value
from resonate.core.values import UNTYPED, Call
from resonate.errors import ApplicationError, DecodingError, NotReadableHere, UsageError

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
CODEC = Encrypted(JsonCodec(), {"2026": KEY})


def raw(value: Value) -> bytes:
    return base64.b64decode(value.data)


def changed(value: Value, data: bytes) -> Value:
    return Value(value.headers, base64.b64encode(data).decode())


# ---------------------------------------------------------------- the form


def test_the_stored_form_is_what_the_documentation_says():
    """Read by the library's primitives alone, as another language would."""
    value = CODEC.encode({"a": 1}, at="order:1")
    assert dict(value.headers) == {"content-type": "application/json", "content-encoding": "aes-gcm"}
    data = raw(value)
    assert (data[0], data[1], data[2:6]) == (1, 4, b"2026")
    start, nonce, sealed = data[:10], data[10:22], data[22:]

    def framed(*texts: str) -> bytes:
        return b"".join(struct.pack(">Q", len(text.encode())) + text.encode() for text in texts)

    label = "resonate encrypted value 1"
    both = HKDF(SHA256(), 64, salt=None, info=framed(label, "value", "order:1")).derive(KEY)
    associated = framed(label, start.hex(), "value", "order:1", "application/json", "")
    plain = AESGCM(both[:32]).decrypt(nonce, sealed, associated)
    assert plain == b'\x01{"a":1}'
    assert nonce == hmac.digest(both[32:], associated + plain, "sha256")[:12]
    assert data[6:10] == HKDF(SHA256(), 4, salt=None, info=b"resonate key check").derive(KEY)


GOLDEN = "AQQyMDI24BOEK60SU4bQl4pB7eEYA2Lq36YTT1rn973xT/5a7oE3fymRU5o="


def test_what_earlier_versions_wrote_is_read():
    value = Value({"content-type": "application/json", "content-encoding": "aes-gcm"}, GOLDEN)
    assert CODEC.encode("yes", at="order:1") == value
    assert CODEC.decode(value, str, at="order:1") == "yes"


def test_the_same_value_is_the_same_bytes_in_another_process():
    program = (
        "from resonate import *\n"
        f"print(Encrypted(JsonCodec(), {{'2026': {KEY!r}}}).encode({{'a': [1, 'x']}}, at='p').data)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == CODEC.encode({"a": [1, "x"]}, at="p").data


def test_whatever_differs_gives_another_nonce_and_other_bytes():
    """Equal bytes, or a nonce twice under one key, would tell that two values are equal, or worse."""
    written = [
        codec.encode(value, at=at)
        for codec in (CODEC, Encrypted(JsonCodec(), {"2026": OTHER}), Encrypted(JsonCodec(), {"2025": KEY}))
        for value in (1, 2, "1", None, True)
        for at in ("", "a", "ab", "a:1")
    ]
    nonces = [raw(value)[10:22] for value in written]
    assert len(set(nonces)) == len(written)
    for one, other in combinations(map(raw, written), 2):
        assert one[22:30] != other[22:30]


def test_every_size_of_key_works_and_no_other():
    for size in (16, 24, 32):
        codec = Encrypted(JsonCodec(), b"k" * size)
        assert codec.decode(codec.encode([1], at="a"), at="a") == [1]
    for size in (0, 15, 17, 31, 33, 64):
        with pytest.raises(UsageError, match=f"has {size} bytes"):
            Encrypted(JsonCodec(), b"k" * size)


# ---------------------------------------------------------------- what is refused


def test_a_value_is_bound_to_its_promise_and_to_what_it_is():
    value = CODEC.encode({"func": "f", "args": []}, at="a")
    call = CODEC.encode_call(Call(func="f"), UNTYPED, at="a")
    error = CODEC.encode_error(ValueError("no"), at="a")

    def decode_call(value: Value, at: str) -> Call:
        return CODEC.decode_call(value, lambda *_: UNTYPED, at=at)

    for at in ("b", "", "a:1", "a\0"):
        with pytest.raises(DecodingError, match="can't be decrypted"):
            CODEC.decode(value, at=at)
        with pytest.raises(DecodingError, match="can't be decrypted"):
            decode_call(call, at)
    for other in (call, error):
        with pytest.raises(DecodingError, match="purpose than the value of a"):
            CODEC.decode(other, at="a")
    for other in (value, error):
        with pytest.raises(DecodingError, match="purpose than the call of a"):
            decode_call(other, "a")
    for other in (value, call, CODEC.encode_error(ValueError("no"), at="b")):
        back = CODEC.decode_error(other, at="a")
        assert isinstance(back, ApplicationError)
        assert "can't be decrypted" in str(back.details)
    assert decode_call(call, "a") == Call(func="f")
    assert repr(CODEC.decode_error(error, at="a")) == "ValueError('no')"


def test_every_changed_byte_and_every_cut_is_noticed():
    value = CODEC.encode("a secret", at="a")
    data = raw(value)
    for index in range(len(data)):
        for bit in (1, 128):
            with pytest.raises(DecodingError):
                CODEC.decode(changed(value, data[:index] + bytes([data[index] ^ bit]) + data[index + 1 :]), at="a")
        with pytest.raises(DecodingError):
            CODEC.decode(changed(value, data[:index]), at="a")
        with pytest.raises(DecodingError):
            CODEC.decode(changed(value, data + data[: index + 1]), at="a")


def test_changed_headers_are_noticed_where_they_say_how_to_read():
    """Or an attacker could have a text unpickled that a holder of the key has encrypted."""
    value = CODEC.encode("text", at="a")
    for headers in (
        {"content-type": "application/vnd.resonate.pickle", "content-encoding": "aes-gcm"},
        {"content-type": "application/json", "content-encoding": "gzip, aes-gcm"},
        {"content-encoding": "aes-gcm"},
    ):
        with pytest.raises(DecodingError, match="can't be decrypted"):
            CODEC.decode(Value(headers, value.data), at="a")
    harmless = {**value.headers, "resonate:site": "shop.py:3"}
    assert CODEC.decode(Value(harmless, value.data), at="a") == "text"


def test_what_is_not_encrypted_is_refused():
    for value in (JsonCodec().encode("text"), Value({}, "e30="), Value({"content-encoding": "gzip"}, "e30=")):
        with pytest.raises(DecodingError, match="is not encrypted, and is refused"):
            CODEC.decode(value, at="a")
        assert isinstance(CODEC.decode_error(value, at="a"), NotReadableHere)


def test_none_is_encrypted_and_no_value_is_not_taken_for_it():
    value = CODEC.encode(None, at="a")
    assert value.data
    assert CODEC.decode(value, at="a") is None
    with pytest.raises(DecodingError, match="no value was stored"):
        CODEC.decode(NO_VALUE, at="a")


def test_text_of_an_inner_codec_that_is_not_base64_comes_back():
    class Plain(JsonCodec):
        def encode(self, value, *_args, **_kwargs):
            return Value({}, value)

        def decode(self, value, *_args, **_kwargs):
            return value.data

    codec = Encrypted(Plain(), KEY)
    for text in ("", "a", "abcd", "ab==", "ab=", "aB==", "é\ud800", "YQ==", "YR==", "\0"):
        assert codec.decode(codec.encode(text, at="a"), at="a") == text


# ---------------------------------------------------------------- keys


def test_the_first_key_writes_and_all_of_them_read():
    old, new = Encrypted(JsonCodec(), {"1": KEY}), Encrypted(JsonCodec(), {"2": OTHER, "1": KEY})
    one, two = old.encode("x", at="a"), new.encode("x", at="a")
    assert (new.key_id(one), new.key_id(two), new.key_id(JsonCodec().encode("x"))) == ("1", "2", None)
    assert new.decode(one, at="a") == new.decode(two, at="a") == "x"
    with pytest.raises(DecodingError, match="the key '2', which is not among the keys here: '1'"):
        old.decode(two, at="a")


def test_another_key_of_the_same_id_is_said_to_be_one():
    with pytest.raises(DecodingError, match="another key of the id '2026' than the one here"):
        Encrypted(JsonCodec(), {"2026": OTHER}).decode(CODEC.encode("x", at="a"), at="a")


def test_no_text_shows_a_key_or_what_was_encrypted():
    key = b"SECRETSECRETSECRETSECRETSECRETSE"
    codec = Encrypted(JsonCodec(), {"k": key})
    value = codec.encode("PLAINTEXT", at="a")
    texts = [repr(codec), repr(Keyring(key)), repr(Keyring(key).current), str(vars(Keyring(key)))]
    for data in (value.data, "AAAA" + value.data, value.data[:-4], value.data[:8]):
        try:
            codec.decode(Value(value.headers, data), at="b")
        except DecodingError as error:
            texts += [str(error), repr(error), str(vars(error)), repr(error.__cause__)]
    for text in texts:
        for word in ("SECRET", "PLAINTEXT", key.hex(), base64.b64encode(key).decode()):
            assert word not in text
    assert len(texts) > 10


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({}, "at least one"),
        (None, "at least one"),
        ([b"k" * 32], "at least one"),
        ("k" * 32, "is str, where bytes are needed"),
        ({"a": "k" * 32}, "is str, where bytes are needed"),
        ({"a": KEY, "b": b"short"}, "'b' has 5 bytes"),
        ({"": KEY}, "short text"),
        ({1: KEY}, "short text"),
        ({"é": KEY}, "short text"),
        ({"a" * 256: KEY}, "short text"),
    ],
)
def test_what_is_no_key_is_refused_at_the_start(keys, text):
    with pytest.raises(UsageError, match=text) as caught:
        Encrypted(JsonCodec(), keys)
    assert "kkkk" not in str(caught.value)


def test_keys_are_derived_as_the_standard_says():
    """RFC 5869, and the library's own implementation."""
    for key in (KEY, b"k" * 16, b"k" * 24):
        for info in (b"", b"info"):
            for size in (1, 32, 33, 64, 100):
                ours = Keyring(key).current.derive(info, size)
                assert ours == HKDF(SHA256(), size, salt=None, info=info).derive(key)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(UsageError, match=r"resonate-durable\[encryption\]"):
        Encrypted(JsonCodec(), KEY)


def test_importing_the_library_does_not_import_cryptography():
    program = "import resonate, sys; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# ---------------------------------------------------------------- around and beside others


def test_compression_goes_inside():
    codec = Encrypted(Compressed(JsonCodec(), format="gzip"), KEY)
    value = codec.encode("a" * 100_000, at="a")
    assert value.headers["content-encoding"] == "gzip, aes-gcm"
    assert len(value.data) < 500
    assert codec.decode(value, str, at="a") == "a" * 100_000


def test_values_from_before_are_read_beside_it():
    codec = Codecs(CODEC, JsonCodec())
    assert codec.decode(JsonCodec().encode("old"), at="a") == "old"
    assert codec.decode(codec.encode("new", at="a"), at="a") == "new"
    moved = Value(CODEC.encode("x", at="a").headers, CODEC.encode("x", at="a").data)
    with pytest.raises(DecodingError, match="can't be decrypted"):
        codec.decode(moved, at="b")


def test_registered_errors_come_back_through_it():
    class Declined(Exception):
        pass

    codec = Encrypted(JsonCodec(), KEY)
    assert codec.register_error(Declined) is Declined
    assert isinstance(codec.decode_error(codec.encode_error(Declined("no"), at="a"), at="a"), Declined)


def test_it_goes_around_codecs_only():
    for inner in (None, "json", JsonCodec, object()):
        with pytest.raises(UsageError):
            Encrypted(inner, KEY)
