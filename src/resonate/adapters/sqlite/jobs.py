"""What the thread that works on a file is asked for, and how it answers on the event loop of whoever asked.

Law 1: every job is answered exactly once, with its own replies or its own failure.
Law 2: answers that are ready together cross to an event loop together.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from attrs import define

from resonate.core.protocol.requests import Request

T = TypeVar("T")


@define(eq=False, kw_only=True)
class Job(Generic[T]):
    """Something to be done, for somebody who waits on an event loop (or for nobody).

    Args:
        future: what is waited on; None if nobody waits.
        after: called once it is answered.
    """

    future: Future[T] | None = None
    after: Callable[[], None] | None = None
    answer: T | None = None
    error: BaseException | None = None


@define(eq=False, kw_only=True)
class Call(Job[T]):
    """A function to be called inside a transaction."""

    function: Callable[[], T]


@define(eq=False, kw_only=True)
class Ask(Job[Any]):
    """Requests to be done, each with its reply or its exception; `single` if it is one whose exception is raised."""

    requests: Sequence[Request[Any]]
    single: bool


@define(eq=False, kw_only=True)
class Wake(Job[None]):
    """Whatever is due is to be done."""


def answer(jobs: Sequence[Job[Any]]) -> None:
    """Give each job's answer to who waits for it, from any thread."""
    by_loop: dict[AbstractEventLoop, list[Job[Any]]] = {}
    for job in jobs:
        if job.future is not None:
            by_loop.setdefault(job.future.get_loop(), []).append(job)
    for loop, answered in by_loop.items():
        # Whatever a loop says to that, the others are answered. It is closed; or a workflow's, which is told nothing.
        with suppress(Exception):
            loop.call_soon_threadsafe(_finish, answered)
    for job in jobs:
        if job.after is not None:
            job.after()


def _finish(jobs: Iterable[Job[Any]]) -> None:
    for job in jobs:
        waiting = job.future
        if waiting is None or waiting.done():
            continue
        if job.error is not None:
            waiting.set_exception(job.error)
        else:
            waiting.set_result(job.answer)
