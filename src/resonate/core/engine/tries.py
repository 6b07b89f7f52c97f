"""The failed tries of a step, as they are recorded with its outcome.

Law 1: what is recorded follows from the tries alone; a step that did not fail has nothing recorded.
Law 2: it stays short: the last `KEPT` tries, and how many there were.
Law 3: it is written beside the value, which a codec may have encrypted, so it tells types of errors and no messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from resonate.core.frozen import frozen
from resonate.core.protocol.records import Value

TRIES: Final = "resonate:tries"
KEPT: Final = 10


@frozen
class Failure:
    """A try that failed at this instant (epoch ms), with an error of this type; `delay_ms` passed before the next.

    The message is known where it happened; it is not recorded.
    """

    at: int
    error: str
    message: str
    delay_ms: int


@frozen
class Failures:
    """How many tries of a step failed, and the last of them."""

    count: int = 0
    last: tuple[Failure, ...] = ()

    def more(self, failure: Failure) -> Failures:
        """Return these and one more."""
        return Failures(self.count + 1, (*self.last, failure)[-KEPT:])


NO_FAILURES: Final = Failures()


def with_failures(value: Value, failures: Failures) -> Value:
    """Return a step's outcome with its failed tries, if there were any."""
    if not failures.count:
        return value
    last = [[one.at, one.error, one.delay_ms] for one in failures.last]
    return Value({**value.headers, TRIES: orjson.dumps([failures.count, *last]).decode()}, value.data)


def failures_in(headers: Mapping[str, str]) -> Failures:
    """Return what failed before the try that an outcome with these headers is of."""
    try:
        count, *last = orjson.loads(headers.get(TRIES, "[0]"))
        return Failures(int(count), tuple(_failure(*one) for one in last))
    except (ValueError, TypeError):
        return NO_FAILURES  # another writer's header


def _failure(at: Any, error: Any, delay_ms: Any) -> Failure:
    return Failure(int(at), str(error), "", int(delay_ms))
