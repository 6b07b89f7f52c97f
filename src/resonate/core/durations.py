"""Durations as users give them: seconds or a `timedelta`; inside, they are milliseconds.

Law 1: what is accepted is finite, not negative, and no longer than `timedelta` can say.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final, TypeAlias

from resonate.errors import UsageError

Duration: TypeAlias = float | timedelta

LONGEST: Final = timedelta.max.total_seconds()

_HUGE: Final = 1e300  # an int beyond this is no float, and is refused as this is


def seconds(duration: object, what: str = "a duration") -> float:
    """Return `duration` in seconds. Raise `UsageError`, naming `what` it is, if it is none."""
    if isinstance(duration, timedelta):
        amount = duration.total_seconds()
    elif isinstance(duration, int | float) and not isinstance(duration, bool):
        amount = duration if duration != duration else float(max(-_HUGE, min(duration, _HUGE)))  # noqa: PLR0124 - NaN
    else:
        message = f"{what} is a number of seconds or a timedelta, not {type(duration).__name__}."
        raise UsageError(message)
    # NaN is neither below nor above anything, so it is refused too.
    if not 0 <= amount <= LONGEST:
        message = f"{what} is zero or more seconds and finite, not {amount}."
        raise UsageError(message)
    return amount


def milliseconds(duration: object, what: str = "a duration") -> int:
    """Return `duration` in whole milliseconds, rounded up so that a wait is never shorter than asked for."""
    # Rounding at a millionth of a millisecond first keeps 0.001 s from becoming 2 ms by a float's last bit.
    return math.ceil(round(seconds(duration, what) * 1000, 6))
