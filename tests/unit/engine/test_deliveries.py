"""The record of deliveries by itself: how it is written, read, learned in any order, and followed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resonate.core.engine.deliveries import HEADER, Deliveries, pack, unpack

TOKENS = st.lists(
    st.from_regex(r"(?:[1-9][0-9]{0,2}\.){0,3}[1-9][0-9]{0,2}!?", fullmatch=True)
    | st.from_regex(r"=[0-9a-f]{16}!?", fullmatch=True)
    | st.sampled_from(["^", "1^", "2.3^"]),
    max_size=30,
)


@given(st.integers(0, 10**6), TOKENS)
def test_what_is_packed_is_unpacked(start, tokens):
    assert unpack(pack(start, tokens)) == (start, tokens)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([], "7"),
        (["1"], "7 1"),
        (["1", "2", "3"], "7 1-3"),
        (["a.3", "a.4", "a.5", "a.7", "b.8"], "7 a.3-5 a.7 b.8"),
        (["3", "2", "1"], "7 3 2 1"),
        (["1!", "2!", "2"], "7 1! 2! 2"),
        (["9", "1.10", "1.11"], "7 9 1.10-11"),
        (["^", "1^"], "7 ^ 1^"),
    ],
)
def test_consecutive_siblings_are_written_as_a_range(tokens, text):
    assert pack(7, tokens) == text


@pytest.mark.parametrize("text", ["", "x 1", "0 1-x", "0 a-5", "0 1-99999999", "1.5 1"])
def test_what_nobody_packed_is_refused(text):
    with pytest.raises(ValueError):
        unpack(text)


def learned(*headers: str) -> Deliveries:
    record = Deliveries()
    for header in headers:
        record.learn({HEADER: header})
    return record


def followed(record: Deliveries) -> list[str]:
    tokens = []
    while (token := record.expected()) is not None:
        tokens.append(token)
        record.delivered(token, free=False)
    return tokens


def test_what_is_not_ours_is_not_learned():
    record = learned("nonsense", "0 1-x")
    record.learn({})
    record.learn({"other": "0 1"})
    assert record.expected() is None


@given(TOKENS, st.data())
def test_stretches_are_learned_in_any_order_and_may_overlap(tokens, data):
    stretches = []
    start = 0
    while start < len(tokens):
        end = data.draw(st.integers(start + 1, len(tokens)))
        begin = data.draw(st.integers(0, start))
        stretches.append(pack(begin, tokens[begin:end]))
        start = end
    record = learned(*data.draw(st.permutations(stretches)))
    assert followed(record) == tokens
    assert record.header() is None


def test_a_stretch_that_does_not_join_waits_for_what_is_before_it():
    record = learned("2 c d")
    assert record.expected() is None
    record.learn({HEADER: "0 a b"})
    assert followed(record) == ["a", "b", "c", "d"]


def test_new_deliveries_follow_the_record_and_are_carried_until_they_are_acknowledged():
    record = learned("0 a")
    record.delivered("a", free=False)
    assert record.header() is None
    record.delivered("f", free=True)
    assert record.header() is None
    record.delivered("b", free=False)
    assert record.header() == "1 b"
    assert record.pending == 1
    mark = record.mark
    record.delivered("c", free=False)
    assert record.header() == "1 b c"
    assert record.header() == "1 b c"
    record.recorded(mark)
    assert record.header() == "2 c"
    record.recorded(mark)
    record.recorded(record.mark)
    assert record.header() is None
    assert record.expected() is None


def test_within_the_record_a_delivery_advances_only_if_it_is_the_one_expected():
    record = learned("0 a b")
    record.delivered("other", free=False)
    assert record.expected() == "a"
    record.delivered("a", free=True)
    assert record.expected() == "b"
    record.skip()
    assert record.expected() is None


def test_a_stretch_that_is_known_already_changes_nothing():
    record = learned("0 a b", "0 a", "1 b")
    assert followed(record) == ["a", "b"]
