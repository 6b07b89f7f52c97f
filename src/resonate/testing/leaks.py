"""What a test leaves behind, by name.

Law 1: it looks when nothing is going on any more: what is left then, nobody will tidy up.
Law 2: what an execution that is over leaves behind, and what outlives its worker, is a leak; an execution that is not
over is one unless that is meant.
"""

from __future__ import annotations

import asyncio
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from resonate.core import ids
from resonate.core.engine.identity import CALL
from resonate.core.protocol.projection import project
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag, TaskState
from resonate.core.protocol.snapshot import Snapshot

STEP_THREAD: Final = "resonate-step"
PATIENCE: Final = 0.5
"""Real seconds for a thread that has nothing more to do to end."""
SHOWN: Final = 10

_OTHERS: Final = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib")})
_OURS: Final = str(Path(ids.__file__).resolve().parents[1])


def unfinished(snapshot: Snapshot, separator: str = ids.SEPARATOR) -> list[str]:
    """Return a line for each execution that is not over, with what it waits for."""
    records = {one.record.id: project(one.record, snapshot.now) for one in snapshot.promises}
    awaited: dict[str, list[str]] = {}
    for one in snapshot.promises:
        for awaiter in one.callbacks:
            awaited.setdefault(awaiter, []).append(one.record.id)
    found: list[str] = []
    for task in snapshot.tasks:
        promise = records.get(task.id)
        if promise is None or Tag.TIMER in promise.tags or promise.state is not PromiseState.PENDING:
            continue
        waits = _listed(awaited.get(task.id, []))
        state = f"is suspended, waiting for {waits}" if task.state is TaskState.SUSPENDED else f"is {task.state.value}"
        running = [
            one.id
            for one in records.values()
            if one.state is PromiseState.PENDING
            and one.tags.get(Tag.SCOPE) == "local"
            and ids.is_below(one.id, task.id, separator)
        ]
        if task.state is TaskState.ACQUIRED and running:
            state = f"is running {_listed([_named(records[one]) for one in running])}"
        found.append(f"the execution {_named(promise)} is not over: it {state}")
    return found


def left_over(snapshot: Snapshot) -> list[str]:
    """Return a line for each timer, step and nested workflow that is pending though what asked for it is over."""
    records = {one.record.id: project(one.record, snapshot.now) for one in snapshot.promises}
    found: list[str] = []
    for record in records.values():
        parent = records.get(record.tags.get(Tag.PARENT, ""))
        ours = Tag.TIMER in record.tags or record.tags.get(Tag.SCOPE) == "local"
        if parent is None or parent is record or record.state is not PromiseState.PENDING or not ours:
            continue
        if parent.state is not PromiseState.PENDING:
            kind = "timer" if Tag.TIMER in record.tags else "step or workflow"
            found.append(f"the {kind} {_named(record)} is pending, and {_named(parent)}, which asked for it, is over")
    return found


def tasks_before() -> frozenset[int]:
    """Return which tasks the running loop has now."""
    return frozenset(id(task) for task in asyncio.all_tasks())


async def tasks_left(before: frozenset[int]) -> list[str]:
    """Return a line for each task of this library, or of the user's code, that was started since and still runs."""
    for _ in range(3):  # what is being canceled ends
        await asyncio.sleep(0)
    left: list[str] = []
    for task in asyncio.all_tasks():
        if id(task) in before or task is asyncio.current_task() or task.done():
            continue
        body: Any = task.get_coro()
        code = getattr(body, "cr_code", None) or getattr(body, "gi_code", None)
        if code is not None and _is_ours_or_the_users(code.co_filename):
            where = f"{Path(code.co_filename).name}:{code.co_firstlineno}"
            left.append(f"the task {task.get_name()} of {body.__qualname__} ({where}) still runs")
    return sorted(left)


def threads_left(before: Iterable[threading.Thread]) -> list[str]:
    """Return a line for each thread of a step that still runs."""
    known = {thread.ident for thread in before}
    new = [one for one in threading.enumerate() if one.name.startswith(STEP_THREAD) and one.ident not in known]
    limit = time.monotonic() + PATIENCE
    found: list[str] = []
    for thread in new:
        thread.join(max(0.0, limit - time.monotonic()))
        if thread.is_alive():
            found.append(f"the thread {thread.name} still runs a step{_step_in(thread)}")
    return found


def _step_in(thread: threading.Thread) -> str:
    """Return the user's function that a thread is in."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # it has no other name
    found = ""
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_OURS) and _is_ours_or_the_users(code.co_filename):
            found = f", {code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})"
        frame = frame.f_back
    return found


def _is_ours_or_the_users(path: str) -> bool:
    resolved = str(Path(path).resolve())
    return resolved.startswith(_OURS) or not resolved.startswith(_OTHERS)


def _named(record: PromiseRecord) -> str:
    call = record.param.headers.get(CALL, "")
    return f"{record.id} ({call})" if call else record.id


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "nothing") + more
