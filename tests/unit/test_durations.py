import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resonate.core.durations import LONGEST, milliseconds, seconds
from resonate.errors import UsageError


@pytest.mark.parametrize(
    ("duration", "expected"),
    [(0, 0), (1, 1000), (0.001, 1), (0.0011, 2), (1e-9, 1), (timedelta(days=1), 86_400_000), (timedelta.max, None)],
)
def test_durations_are_whole_milliseconds_rounded_up(duration, expected):
    assert milliseconds(duration) == (math.ceil(LONGEST * 1000) if expected is None else expected)


@given(st.integers(0, 10**10))
def test_a_duration_given_in_milliseconds_comes_back(ms):
    assert milliseconds(ms / 1000) == ms
    assert milliseconds(timedelta(milliseconds=ms)) == ms


@pytest.mark.parametrize(
    "duration",
    [-1, -0.001, math.nan, math.inf, -math.inf, 10**400, -(10**400), timedelta(seconds=-1), LONGEST * 2],
    ids=lambda d: f"{str(d)[:9]}",
)
def test_what_is_no_length_of_time_is_refused(duration):
    with pytest.raises(UsageError, match="the nap is zero or more seconds and finite"):
        seconds(duration, "the nap")


@pytest.mark.parametrize("duration", [True, "1", None, 1j])
def test_what_is_no_number_is_refused(duration):
    with pytest.raises(UsageError, match="a duration is a number of seconds or a timedelta, not"):
        seconds(duration)


def test_what_was_given_is_what_the_error_shows():
    with pytest.raises(UsageError, match=r"^ttl is zero or more seconds and finite, not nan\."):
        seconds(math.nan, "ttl")
