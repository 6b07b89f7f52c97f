"""What a process has of its machine: threads, chance, and how steps are run. A simulated process has its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from attrs import frozen

from resonate.runtime.steps import Steps
from resonate.runtime.threads import Pool, Threads


@frozen(kw_only=True)
class Host:
    """The parts of a client that are neither store nor clock, and are other ones in a simulation.

    Args:
        pool: makes what runs `def` steps, for so many at once.
        draw: gives numbers from 0 to 1, for jitter.
        heartbeat_thread: whether leases are renewed from a thread of their own.
        steps: makes what runs steps, from the arguments of `Steps`.
    """

    pool: Callable[[int], Pool]
    draw: Callable[[], float]
    heartbeat_thread: bool
    steps: Callable[..., Steps] = Steps


def _threads(count: int) -> Pool:
    return Threads(count, "resonate-step")


REAL: Final = Host(pool=_threads, draw=random.random, heartbeat_thread=True)
VIRTUAL: Final = Host(pool=_threads, draw=random.random, heartbeat_thread=False)
"""The machine on virtual time, which a thread of our own would hold up."""
