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
from collections.abc import Container, Iterator
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Any, Final
from weakref import WeakSet

from resonate.core import ids
from resonate.core.engine.identity import CALL
from resonate.core.protocol.projection import project
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag, TaskState
from resonate.core.protocol.snapshot import Snapshot

STEP_THREAD: Final = "resonate-step"
PATIENCE: Final = 0.5
"""Real seconds for a thread that has nothing more to do to end."""
SHOWN: Final = 10

_POOLS: Final = "concurrent"
"""The folder of what keeps threads for later: their end is their pool's."""
_PYTHON: Final = Path(sysconfig.get_path("stdlib")).resolve()
_LIBRARIES: Final = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib"))
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_OURS: Final = Path(ids.__file__).resolve().parents[1]


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


def tasks_before() -> WeakSet[asyncio.Task[Any]]:
    """Return which tasks the running loop has now."""
    return WeakSet(asyncio.all_tasks())


async def tasks_left(before: Container[asyncio.Task[Any]] = (), *, ours: bool = True) -> list[str]:
    """Return a line for each task that was started since on the running loop, and still runs.

    Those of installed libraries are left out, such as a connection pool's, and those of this one unless `ours`.
    """
    for _ in range(3):  # what is being canceled ends
        await asyncio.sleep(0)
    left: list[str] = []
    for task in asyncio.all_tasks():
        if task in before or task is asyncio.current_task() or task.done():
            continue
        body: Any = task.get_coro()
        code = getattr(body, "cr_code", None) or getattr(body, "gi_code", None)
        if code is None:
            continue
        owner = _owner(code.co_filename)
        if owner in {_Owner.USER, _Owner.PYTHON} or (ours and owner is _Owner.OURS):
            where = f"{Path(code.co_filename).name}:{code.co_firstlineno}"
            left.append(f"the task {task.get_name()} of {body.__qualname__} ({where}) still runs")
    return sorted(left)


def threads_left(before: Container[threading.Thread]) -> list[str]:
    """Return a line for each thread that was started since and still runs: a step's, or one that user code began.

    Those of installed libraries are left out, and idle ones of pools, unless they are in user code.
    """
    limit = time.monotonic() + PATIENCE
    found: list[str] = []
    for thread in threading.enumerate():
        if thread not in before and _left(thread) is not None:
            thread.join(max(0.0, limit - time.monotonic()))
            line = _left(thread) if thread.is_alive() else None
            found += [] if line is None else [line]
    return found


def _left(thread: threading.Thread) -> str | None:
    """Return the line of a thread that ought to have ended, None of one that may go on."""
    if thread.name.startswith(STEP_THREAD):
        return f"the thread {thread.name} still runs a step{_step_in(thread)}"
    inside = _step_in(thread)
    if thread.name.startswith("resonate-") or not (inside or _is_the_users(thread)):
        return None
    return f"the thread {thread.name} still runs{inside}"


def _is_the_users(thread: threading.Thread) -> bool:
    """Say whether a thread that is in no user code was started by some: it has to be told by what it began with."""
    if isinstance(thread, threading.Timer):
        code = getattr(thread.function, "__code__", None)
        return code is None or _owner(code.co_filename) is _Owner.USER
    files = [frame.f_code.co_filename for frame in _frames(thread)]
    began = next((file for file in reversed(files) if file != threading.__file__), None)
    if began is None:  # in a function without Python code, such as time.sleep: libraries start threads with their own
        return bool(files) and not thread.name.startswith("Dummy-")
    return _owner(began) is _Owner.PYTHON and not thread.daemon and _POOLS not in Path(began).parts


def _frames(thread: threading.Thread) -> Iterator[FrameType]:
    """Return what a thread is in, the innermost first."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # it has no other name
    while frame is not None:
        yield frame
        frame = frame.f_back


def _step_in(thread: threading.Thread) -> str:
    """Return the user's function that a thread is in, the outermost; nothing if it is in none."""
    found = ""
    for frame in _frames(thread):
        code = frame.f_code
        if _owner(code.co_filename) is _Owner.USER:
            found = f", {code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})"
    return found


class _Owner(Enum):
    """Whose code a file is."""

    OURS = "this library's"
    PYTHON = "the standard library's"
    USER = "the user's"
    LIBRARY = "an installed library's"


def _owner(path: str) -> _Owner:
    if path.startswith("<frozen "):
        return _Owner.PYTHON
    resolved = Path(path).resolve()
    if resolved.is_relative_to(_OURS):
        return _Owner.OURS
    if _INSTALLED.intersection(resolved.parts) or any(map(resolved.is_relative_to, _LIBRARIES)):
        return _Owner.LIBRARY
    return _Owner.PYTHON if resolved.is_relative_to(_PYTHON) else _Owner.USER


def _named(record: PromiseRecord) -> str:
    call = record.param.headers.get(CALL, "")
    return f"{record.id} ({call})" if call else record.id


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "nothing") + more
