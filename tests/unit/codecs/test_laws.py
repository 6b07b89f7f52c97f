"""The codec's laws over generated values and hostile data."""

import base64
import os
import string
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, time
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resonate.adapters.codecs.json import JsonCodec
from resonate.core.protocol.records import Value
from resonate.core.values import UNTYPED, Call, Signature
from resonate.errors import CodecError, EncodingError
from tests.unit.codecs.samples import CASES, Box, Card, Cash, Color, Item, Node, Order, Row, label

codec = JsonCodec()
TYPES = [type_ for type_, _ in CASES]

# ---------------------------------------------------------------- law 1

GENERATED = [
    bool, int, float, str, bytes, Color, Row, Card, Item, Node, Order,
    list[int], list[float | None], tuple[int, str], tuple[bool, ...], set[str], frozenset[int], set[int | str],
    dict[str, float], dict[int, str], dict[Color, list[int]], dict[tuple[int, bool], str],
    int | str, int | float | None, bytes | str, Card | Cash, list[Card | Cash | None], Box[int],
    list[int] | list[str] | set[int],
]  # fmt: skip


st.register_type_strategy(Box, lambda type_: st.builds(Box, st.from_type(type_.__args__[0])))


def same(a, b):
    """Equal, where NaN equals NaN, and fold counts as little as it does to `==`."""
    return a == b or repr(a).replace(", fold=1", "") == repr(b).replace(", fold=1", "")


@pytest.mark.parametrize("type_", GENERATED, ids=label)
def test_generated_values_come_back_equal_or_are_refused(type_):
    # Values of a type that contains itself are drawn by throwing the too large ones away: that is no bad health here.
    @settings(
        max_examples=40,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(st.from_type(type_))
    def check(value):
        try:
            stored = codec.encode(value, type_)
        except EncodingError:
            return
        assert same(codec.decode(stored, type_), value)

    check()


TEXT = st.text(string.printable).filter(lambda text: text not in {"__INF__", "__NEG_INF__", "__NAN__"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(string.printable), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_plain_json_needs_no_type(value):
    assert same(codec.decode(codec.encode(value)), value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.uuids() | st.datetimes(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(ANYTHING, st.sampled_from(TYPES))
def test_no_value_is_changed_in_silence_whatever_is_declared(value, type_):
    try:
        stored = codec.encode(value, type_)
    except EncodingError:
        return
    back = codec.decode(stored, type_)
    assert back == value or same(back, value)


@given(st.times(timezones=st.none() | st.just(UTC) | st.timezones()))
def test_a_time_comes_back_with_its_zone(value):
    # Two times whose zones have no offset without a date are equal, whatever the zones.
    back = codec.decode(codec.encode(value, time), time)
    assert back == value
    assert str(back.tzinfo) == str(value.tzinfo)


# ---------------------------------------------------------------- law 2

SCRIPT = """
import hashlib
from resonate.adapters.codecs.json import JsonCodec
from resonate.core.values import Call, Signature
from tests.unit.codecs.samples import CASES
codec, digest = JsonCodec(), hashlib.sha256()
for type_, values in CASES:
    for value in values:
        digest.update((codec.encode(value, type_).data or "-").encode())
call = Call(func="f", args=({"a", "b", "c", "d"},), kwargs={"x": frozenset({(1, "a"), (2, "b"), (3, "c")})})
types = Signature(positional=(set[str],), keyword={"x": frozenset[tuple[int, str]]})
digest.update(codec.encode_call(call, types).data.encode())
print(digest.hexdigest())
"""


def test_the_same_value_is_the_same_bytes_in_every_process():
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root / "src"), str(root)])

    def digest(seed):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        return subprocess.run([sys.executable, "-c", SCRIPT], env=env, check=True, capture_output=True).stdout

    first, second, third = digest("1"), digest("2"), digest("77")
    assert first
    assert first == second == third


# ---------------------------------------------------------------- law 3


WORDS = """
    $type value __type error aggregate_error message errors cause args kwargs func module type builtins name
    resonate.errors ValueError OSError ExceptionGroup PromiseTimedOut ImportError EncodingError state notes stack
    details path tuple UUID bytes Decimal ZoneInfo Europe /etc/passwd Card Cash __INF__ __NAN__ version number amount
    sku price items id P1D 2024-01-01T00:00:00+00:00[../x] 1E+999999 sNaN 1/0
""".split()  # noqa: SIM905 - as a list it would be a page long


def hostile():
    """Data that no codec of ours wrote: noise, base64 of noise, and JSON that nearly looks right."""
    words = st.sampled_from(WORDS)
    json = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | words,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=8),
        max_leaves=30,
    )
    encoded = (
        json.map(orjson.dumps) | st.binary() | st.sampled_from([b"[" * 5000, b'{"a":' * 1100, b"9" * 5000, b"1e999"])
    )
    data = encoded.map(lambda raw: base64.b64encode(raw).decode()) | st.text() | st.none()
    headers = st.dictionaries(st.sampled_from(["content-type", "x"]), st.text() | st.just("application/json"))
    return st.builds(Value, headers, data)


@settings(max_examples=500, deadline=None)
@given(hostile(), st.sampled_from(TYPES))
def test_hostile_values_are_values_or_codec_errors(value, type_):
    with suppress(CodecError):
        codec.decode(value, type_)


@settings(max_examples=300, deadline=None)
@given(hostile(), st.lists(st.sampled_from(TYPES), max_size=3))
def test_hostile_calls_are_calls_or_codec_errors(value, types):
    for signature in (UNTYPED, Signature(positional=tuple(types), extra=str)):
        with suppress(CodecError):
            assert isinstance(codec.decode_call(value, lambda _func, _version, found=signature: found), Call)


@settings(max_examples=500, deadline=None)
@given(hostile())
def test_hostile_failures_are_exceptions(value):
    error = codec.decode_error(value)
    assert isinstance(error, Exception)
    assert isinstance(codec.decode_error(codec.encode_error(error)), Exception)


def test_a_whole_number_beyond_all_floats_comes_back():
    for number in (10**400, -(10**400)):
        assert codec.decode(codec.encode(number, int), int) == number
        assert codec.decode(codec.encode([number], list[int]), list[int]) == [number]
