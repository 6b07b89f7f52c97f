"""The failed tries of a step, as they are recorded with its outcome."""

from __future__ import annotations

import pytest

from resonate.core.engine.tries import KEPT, NO_FAILURES, TRIES, Failure, Failures, failures_in, with_failures
from resonate.core.protocol.records import Value


def failures(count: int) -> Failures:
    found = NO_FAILURES
    for number in range(count):
        found = found.more(Failure(number, "OSError", "", 1000))
    return found


def test_a_step_that_did_not_fail_has_nothing_recorded():
    value = Value({}, "1")
    assert with_failures(value, NO_FAILURES) is value
    assert failures_in({}) == NO_FAILURES


@pytest.mark.parametrize("count", [1, KEPT, KEPT + 1, 1000])
def test_what_is_recorded_is_read_back(count):
    recorded = with_failures(Value({"encoding": "json"}, "1"), failures(count))
    assert (recorded.headers["encoding"], recorded.data) == ("json", "1")
    read = failures_in(recorded.headers)
    assert read == failures(count)
    assert read.count == count
    assert [one.at for one in read.last] == list(range(max(count - KEPT, 0), count))


def test_messages_are_not_recorded():
    recorded = with_failures(Value(), NO_FAILURES.more(Failure(1, "OSError", "card 4111", 0)))
    assert "4111" not in recorded.headers[TRIES]


@pytest.mark.parametrize("text", ["", "no json", "{}", "[]", "3", '["many"]', "[1, [2]]", "[1, 2]", "null"])
def test_what_another_wrote_there_is_passed_over(text):
    assert failures_in({TRIES: text}) == NO_FAILURES
