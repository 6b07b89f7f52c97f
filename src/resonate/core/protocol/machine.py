"""The server as a pure machine: a request or an internal step, what is stored, and the instant, give the reply and the writes.

Law 1: one step is one transaction: it reads one snapshot, does not see its own writes, and its effects are applied together.
Law 2: every reply and every guard uses the projected view: past its deadline a promise reads as settled.
Law 3: a refusal is a `Rejection` and writes nothing; no request, however malformed, raises.
Law 4: the cost of a step does not grow with history (but for the searches and a preload).
"""

from __future__ import annotations

from typing import TypeVar

from resonate.core.protocol.effects import Effect
from resonate.core.protocol.reads import Reads
from resonate.core.protocol.requests import Rejection, Request
from resonate.core.protocol.settings import DEFAULT_SETTINGS, Settings
from resonate.core.protocol.steps import (
    CallbackDrain,
    InternalStep,
    LeaseTimeout,
    ListenerDrain,
    PromiseTimeout,
    RetryDispatch,
    ScheduleFire,
)

__all__ = [
    "CallbackDrain",
    "InternalStep",
    "LeaseTimeout",
    "ListenerDrain",
    "PromiseTimeout",
    "RetryDispatch",
    "ScheduleFire",
    "Settings",
    "fire",
    "handle",
]

R = TypeVar("R")


def handle(
    request: Request[R], reads: Reads, now: int, settings: Settings = DEFAULT_SETTINGS
) -> tuple[R | Rejection, tuple[Effect, ...]]:
    """Do one request at `now`; return the reply and what to write."""
    raise NotImplementedError


def fire(step: InternalStep, reads: Reads, now: int, settings: Settings = DEFAULT_SETTINGS) -> tuple[Effect, ...]:
    """Do one internal step at `now`; return what to write, nothing if it is not due."""
    raise NotImplementedError
