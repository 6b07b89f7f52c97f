"""When a failed function is tried again, and when it is given up.

Law 1: a policy is a value; the same failures, error and draw give the same answer.
Law 2: an error that cannot go away by trying again is never retried, whatever the policy says.
Law 3: a delay is finite and never negative, however many failures came before it.
Law 4: no retry is scheduled at or past the promise's deadline (`before_deadline`).

Policies run in the worker; they do not travel.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Final, Protocol, TypeGuard, cast

from attrs import Attribute, field, frozen

from resonate.core.durations import LONGEST, Duration, milliseconds, seconds
from resonate.errors import (
    DeterminismError,
    EncodingError,
    FunctionNotRegistered,
    NondeterminismError,
    NonRetryableError,
    UsageError,
)

PERMANENT: Final[tuple[type[BaseException], ...]] = (
    NonRetryableError,
    EncodingError,
    DeterminismError,
    NondeterminismError,
    FunctionNotRegistered,
)


class RetryPolicy(Protocol):
    """Anything that says how long to wait before the next attempt."""

    def next_delay(self, failures: int, error: BaseException, draw: float = 0.0) -> int | None:
        """Return the ms to wait before the next attempt, None to give up.

        Args:
            failures: how many attempts have failed, the one with `error` included; 1 or more.
            error: how the last attempt failed.
            draw: a number in [0, 1) that a policy with jitter uses; 0 gives the longest delay.
        """
        ...


def check_policy(retry: object) -> None:
    """Raise `UsageError` unless `retry` is a policy."""
    if isinstance(retry, type) or not callable(getattr(retry, "next_delay", None)):
        shown = retry.__name__ if isinstance(retry, type) else repr(retry)
        message = f"retry is a policy, such as Exponential() or Never(), not {shown}."
        raise UsageError(message)


def is_permanent(error: BaseException, non_retryable: tuple[type[BaseException], ...] = ()) -> bool:
    """Say whether no policy retries `error`.

    That is an interruption (no `Exception`), one of `PERMANENT` or `non_retryable`, or a group that holds one.
    """
    if not isinstance(error, Exception) or isinstance(error, PERMANENT + non_retryable):
        return True
    if isinstance(error, ExceptionGroup):
        group: ExceptionGroup[Exception] = error  # pyright: ignore[reportUnknownVariableType] -- a bare group
        return any(is_permanent(each, non_retryable) for each in group.exceptions)
    return False


def before_deadline(delay_ms: int, now: int, deadline: int) -> bool:
    """Say whether an attempt that starts in `delay_ms` still starts before the promise's deadline."""
    return now + delay_ms < deadline


@frozen
class Never:
    """Give up at the first failure."""

    def next_delay(self, failures: int, error: BaseException, draw: float = 0.0) -> int | None:  # noqa: ARG002 -- the port's signature
        """Return None."""
        return None


def _delay(value: Duration) -> float:
    return seconds(value, "the delay of a retry policy")


def _max_delay(value: Duration) -> float:
    return seconds(value, "the max_delay of a retry policy")


def _check_factor(_self: object, _attribute: Attribute[float], value: object) -> None:
    # NaN is neither below nor above anything, so it is refused too.
    if not (_is_number(value) and 1 <= value <= sys.float_info.max):
        message = f"the factor of a retry policy is a finite number of at least 1, not {value!r}."
        raise UsageError(message, hint="Use Constant for delays that don't grow.")


def _check_max_retries(_self: object, _attribute: Attribute[int | None], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"max_retries is a whole number of at least 0, or None for no limit; not {value!r}."
        raise UsageError(message)


def _check_jitter(_self: object, _attribute: Attribute[float], value: object) -> None:
    if not (_is_number(value) and 0 <= value <= 1):
        message = f"jitter is the share of a delay that is drawn at random, from 0 to 1; not {value!r}."
        raise UsageError(message)


def _check_non_retryable(_self: object, _attribute: Attribute[tuple[type[BaseException], ...]], value: object) -> None:
    if not isinstance(value, tuple) or not all(map(_is_exception_type, cast("tuple[object, ...]", value))):
        message = f"non_retryable is a tuple of exception types, not {value!r}."
        raise UsageError(message, hint="Write non_retryable=(ValueError,), with the comma.")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_exception_type(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


@frozen
class _Backoff(ABC):
    """What the policies that try again share: a limit, jitter, and errors that they don't retry."""

    max_retries: int | None = field(default=None, kw_only=True, validator=_check_max_retries)
    jitter: float = field(default=0.0, kw_only=True, validator=_check_jitter)
    non_retryable: tuple[type[BaseException], ...] = field(default=(), kw_only=True, validator=_check_non_retryable)

    def next_delay(self, failures: int, error: BaseException, draw: float = 0.0) -> int | None:
        """Return the ms to wait before the next attempt, None once the limit is reached or the error is permanent."""
        if self.max_retries is not None and failures > self.max_retries:
            return None
        if is_permanent(error, self.non_retryable):
            return None
        wait = min(self._wait(failures), LONGEST)
        return milliseconds(wait * (1 - self.jitter * draw), "the delay of a retry policy")

    @abstractmethod
    def _wait(self, failures: int) -> float:
        """Return the seconds to wait after `failures`, before jitter."""
        ...


@frozen
class Constant(_Backoff):
    """Wait the same `delay` each time.

    Args:
        delay: seconds or a timedelta.
        max_retries: attempts after the first; None for no limit.
        jitter: share of each delay that is drawn at random, 0 to 1.
        non_retryable: exception types that are not retried.
    """

    delay: float = field(default=1.0, converter=_delay)

    def _wait(self, failures: int) -> float:  # noqa: ARG002 -- the same each time
        return self.delay


@frozen
class Linear(_Backoff):
    """Wait `delay`, then twice `delay`, then three times, and so on.

    Args:
        delay: seconds or a timedelta.
        max_retries: attempts after the first; None for no limit.
        jitter: share of each delay that is drawn at random, 0 to 1.
        non_retryable: exception types that are not retried.
    """

    delay: float = field(default=1.0, converter=_delay)

    def _wait(self, failures: int) -> float:
        return self.delay * failures


@frozen
class Exponential(_Backoff):
    """Wait `delay`, then `factor` times as long after each failure, but at most `max_delay`.

    Args:
        delay: seconds or a timedelta.
        factor: how much longer each delay is than the one before; 1 or more.
        max_delay: seconds or a timedelta.
        max_retries: attempts after the first; None for no limit.
        jitter: share of each delay that is drawn at random, 0 to 1.
        non_retryable: exception types that are not retried.
    """

    delay: float = field(default=1.0, converter=_delay)
    factor: float = field(default=2.0, validator=_check_factor)
    max_delay: float = field(default=30.0, converter=_max_delay)

    def _wait(self, failures: int) -> float:
        if self.delay == 0:
            return 0.0
        try:
            return min(self.delay * float(self.factor) ** (failures - 1), self.max_delay)
        except OverflowError:
            return self.max_delay


WORKFLOW_RETRY: Final[RetryPolicy] = Never()
STEP_RETRY: Final[RetryPolicy] = Exponential(delay=1, factor=2, max_delay=30)
