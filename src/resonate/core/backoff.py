"""How long to wait before asking again: full jitter below a bound that doubles.

Law 1: the delay is drawn evenly from nothing to the bound, so that many who failed together do not come back together.
Law 2: who was asked to wait for longer waits at least so long, within reason, and the jitter comes on top.
"""

from __future__ import annotations

from typing import Final

FIRST_MS: Final = 100
LONGEST_MS: Final = 10_000
LONGEST_WISH_MS: Final = 300_000
"""Who asks for more is asked again after this."""
_DOUBLINGS: Final = 16


def full_jitter_ms(failures: int, drawn: float, at_least_ms: int | None = None) -> int:
    """Return the delay in ms after the `failures`-th failure in a row (from 1); `drawn` is a number from 0 to 1."""
    bound = min(FIRST_MS << min(failures - 1, _DOUBLINGS), LONGEST_MS)
    return min(at_least_ms or 0, LONGEST_WISH_MS) + max(1, round(bound * drawn))
