"""Tasks that begin to run where they are made, and not in the event loop's next turn.

Law 1: what begins at once runs as it would by itself: in a task and a context of its own, until it first waits.
Law 2: where the event loop can't do it, the task begins in the next turn; nothing but the time differs.

A turn of the loop asks the system for what has happened outside, which costs more than a step that waits for nothing.
From Python 3.12 on, a task can be told to begin at once. Before, a task that was just made is the last thing that the
loop has ready, and it is run from there.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Coroutine, Generator
from contextvars import Context as Variables
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


@coroutine
def turn() -> Generator[None, None, None]:
    """Let everybody else on the event loop have a turn. What `asyncio.sleep(0)` does."""
    yield


def begin(
    loop: asyncio.AbstractEventLoop,
    body: Coroutine[Any, Any, T],
    *,
    name: str | None = None,
    context: Variables | None = None,
) -> asyncio.Task[T]:
    """Start a task of the running `loop`; its body has run until it first waits, if that can be had."""
    if loop.get_task_factory() is not None:
        return loop.create_task(body, name=name, context=context)  # which may begin it at once, and may not
    if sys.version_info >= (3, 12):
        return asyncio.Task(body, loop=loop, name=name, context=context, eager_start=True)
    task = asyncio.Task(body, loop=loop, name=name, context=context)
    _run_now(loop, task)
    return task


def _run_now(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """Run a task that was just made until it first waits, if it is what the loop has ready last."""
    outer = asyncio.current_task(loop)
    ready: Any = getattr(loop, "_ready", None)  # what a loop of asyncio's own will run next
    if ready.__class__ is not deque or not ready or outer is None:
        return
    first = ready[-1]
    begins: object = getattr(getattr(first, "_callback", None), "__self__", None)
    if begins is not task:
        return
    tasks: Any = asyncio.tasks  # which has these for event loops; they are not in its types
    tasks._leave_task(loop, outer)  # noqa: SLF001 - as an eager task does from 3.12 on
    try:
        first._run()  # noqa: SLF001 - as above
    finally:
        tasks._enter_task(loop, outer)  # noqa: SLF001 - as above
        first.cancel()  # so that the loop passes it over; taking it out would race with threads that append
        first._context = None  # noqa: SLF001 - it would keep what the step knows until the loop comes by
