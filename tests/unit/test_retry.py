import asyncio
import math
import sys
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resonate.core.retry import (
    STEP_RETRY,
    WORKFLOW_RETRY,
    Constant,
    Exponential,
    Linear,
    Never,
    before_deadline,
)
from resonate.errors import (
    DeterminismError,
    EncodingError,
    FunctionNotRegistered,
    NondeterminismError,
    NonRetryableError,
    UsageError,
)

ERROR = ValueError("broken")


class Mine(NonRetryableError):
    pass


def delays(policy, count=6):
    return [policy.next_delay(failures, ERROR) for failures in range(1, count + 1)]


def test_never_gives_up_at_once():
    assert delays(Never()) == [None] * 6


def test_constant_waits_the_same():
    assert delays(Constant(0.5)) == [500] * 6


def test_linear_waits_longer_by_the_same():
    assert delays(Linear(delay=2)) == [2000, 4000, 6000, 8000, 10_000, 12_000]


def test_exponential_doubles_up_to_its_cap():
    assert delays(Exponential()) == [1000, 2000, 4000, 8000, 16_000, 30_000]
    assert delays(Exponential(1, 3, 20)) == [1000, 3000, 9000, 20_000, 20_000, 20_000]
    assert delays(Exponential(5, 2, 1)) == [1000] * 6


def test_workflows_are_not_retried_and_steps_are_until_they_succeed():
    assert delays(WORKFLOW_RETRY) == [None] * 6
    assert Exponential(delay=1, factor=2, max_delay=30) == STEP_RETRY


def test_delays_can_be_timedeltas():
    assert Exponential(timedelta(seconds=1), 2, timedelta(seconds=30)) == STEP_RETRY


@pytest.mark.parametrize("policy", [Constant, Linear, Exponential])
def test_max_retries_counts_the_attempts_after_the_first(policy):
    tried = delays(policy(max_retries=2))
    assert None not in tried[:2]
    assert tried[2:] == [None] * 4
    assert delays(policy(max_retries=0))[0] is None


@pytest.mark.parametrize("policy", [Constant, Linear, Exponential])
@pytest.mark.parametrize(
    "error",
    [
        NonRetryableError("no"),
        Mine("no"),
        EncodingError("no"),
        DeterminismError("no"),
        NondeterminismError("no"),
        FunctionNotRegistered("no"),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        SystemExit(),
        GeneratorExit(),
        BaseExceptionGroup("stop", [KeyboardInterrupt(), ERROR]),
        ExceptionGroup("some", [ERROR, ExceptionGroup("deep", [Mine("no")])]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_permanent_errors_are_never_retried(policy, error):
    assert policy().next_delay(1, error) is None


def test_a_group_of_passing_errors_is_retried():
    assert Constant(1).next_delay(1, ExceptionGroup("some", [ERROR, OSError()])) == 1000


@pytest.mark.parametrize("policy", [Constant, Linear, Exponential])
def test_non_retryable_types_are_not_retried(policy):
    picky = policy(non_retryable=(KeyError, ArithmeticError))
    assert picky.next_delay(1, KeyError()) is None
    assert picky.next_delay(1, ZeroDivisionError()) is None
    assert picky.next_delay(1, ExceptionGroup("some", [ERROR, KeyError()])) is None
    assert picky.next_delay(1, LookupError()) == 1000


def test_other_usage_errors_are_retried_as_any_error():
    assert Constant(1).next_delay(1, UsageError("no")) == 1000


@pytest.mark.parametrize(
    ("jitter", "draw", "expected"), [(0, 0.9, 1000), (1, 0, 1000), (1, 0.25, 750), (0.5, 0.5, 750)]
)
def test_jitter_is_the_share_that_is_drawn(jitter, draw, expected):
    assert Constant(1, jitter=jitter).next_delay(1, ERROR, draw) == expected


@pytest.mark.parametrize("policy", [Constant, Linear, Exponential])
def test_jitter_is_off_by_default(policy):
    assert policy().next_delay(1, ERROR, 0.5) == 1000


POLICIES = st.one_of(
    st.builds(Constant, st.floats(0, 1e12), jitter=st.floats(0, 1)),
    st.builds(Linear, st.floats(0, 1e12), jitter=st.floats(0, 1)),
    st.builds(Exponential, st.floats(0, 1e12), st.floats(1, 1e12), st.floats(0, 1e12), jitter=st.floats(0, 1)),
)


@given(POLICIES, st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_a_whole_number_of_ms_and_jitter_only_shortens_it(policy, failures, draw):
    longest = policy.next_delay(failures, ERROR)
    drawn = policy.next_delay(failures, ERROR, draw)
    assert isinstance(drawn, int)
    assert 0 <= drawn <= longest


@given(POLICIES, st.integers(1, 10**6))
def test_delays_never_shrink(policy, failures):
    assert policy.next_delay(failures, ERROR) <= policy.next_delay(failures + 1, ERROR)


@pytest.mark.parametrize("factor", [1.0000001, 2, sys.float_info.max])
def test_a_million_failures_do_not_overflow(factor):
    policy = Exponential(1, factor, 30)
    assert 0 < policy.next_delay(10**6, ERROR) <= 30_000
    assert Exponential(0, factor).next_delay(10**6, ERROR) == 0
    assert Linear(timedelta.max).next_delay(10**6, ERROR) == Constant(timedelta.max).next_delay(1, ERROR)


@pytest.mark.parametrize(("delay", "allowed"), [(0, True), (99, True), (100, False), (101, False)])
def test_no_retry_starts_at_or_past_the_deadline(delay, allowed):
    assert before_deadline(delay, now=1000, deadline=1100) is allowed


@pytest.mark.parametrize("policy", [Constant, Linear, Exponential])
@pytest.mark.parametrize("delay", [-1, math.nan, math.inf, timedelta(seconds=-1), "1", True])
def test_a_bad_delay_is_refused(policy, delay):
    with pytest.raises(UsageError, match="the delay of a retry policy is"):
        policy(delay)


@pytest.mark.parametrize("max_delay", [-1, math.nan, None])
def test_a_bad_max_delay_is_refused(max_delay):
    with pytest.raises(UsageError, match="the max_delay of a retry policy is"):
        Exponential(max_delay=max_delay)


@pytest.mark.parametrize("factor", [0, 0.999, -2, math.nan, math.inf, 10**400, True, "2", None, Fraction(3, 2)])
def test_a_bad_factor_is_refused(factor):
    with pytest.raises(UsageError, match="factor of a retry policy is a finite number of at least 1"):
        Exponential(factor=factor)


@pytest.mark.parametrize("limit", [-1, 1.0, True, "3"])
def test_a_bad_limit_is_refused(limit):
    with pytest.raises(UsageError, match="max_retries is a whole number"):
        Constant(max_retries=limit)


@pytest.mark.parametrize("jitter", [-0.1, 1.1, math.nan, True, "0.5", None])
def test_a_bad_jitter_is_refused(jitter):
    with pytest.raises(UsageError, match="jitter is the share"):
        Linear(jitter=jitter)


@pytest.mark.parametrize("types", [ValueError, [ValueError], (ValueError(),), (int,), None])
def test_bad_non_retryable_types_are_refused(types):
    with pytest.raises(UsageError, match="non_retryable is a tuple of exception types"):
        Exponential(non_retryable=types)


def test_policies_are_values():
    assert Linear(1, max_retries=3) == Linear(1.0, max_retries=3)
    assert len({Constant(1), Constant(1), Constant(2), Never(), Never()}) == 3
