"""How far the searches go: all the way, or, with RESONATE_TESTS=brief in the environment, over a sample.

A sample is for running the tests again on another Python, where the same code has to do the same: the first run has
been everywhere. It is another one each time; the seed that pytest prints brings it back.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

BRIEF = os.environ.get("RESONATE_TESTS") == "brief"
ONE_IN = 4


def seeds(whole: int) -> int:
    """Return how many runs there are to be, of so many."""
    return max(1, whole // ONE_IN) if BRIEF else whole


def places(everywhere: Sequence[T]) -> Sequence[T]:
    """Return the places where something is to go wrong, of all of them."""
    return random.sample(everywhere, -(-len(everywhere) // ONE_IN)) if BRIEF else everywhere
