"""Runs one recording through today's code, with no store.

Law 1: no step runs, no time passes, nothing is written: the workflow hears of what was recorded, and of nothing else.
Law 2: the first difference ends it.
Law 3: what goes on beyond the recording is not judged, as long as all that was recorded was asked for before.

Theory of operation. The execution is a value machine: its commands are answered from the recording. A promise that is
not recorded is news: it is left unanswered, so that the workflow stops there. Three things are answered though they
are not recorded, since the recording can't have them: the engine's own promises, executions that are detached (they are
nobody's history), and cancellations that follow from what was recorded.
"""

from __future__ import annotations

import pdb  # noqa: T100 - it is asked for
import random
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

from attrs import evolve, frozen

from resonate.core import ids
from resonate.core.engine import commands as do
from resonate.core.engine.children import Child, Role
from resonate.core.engine.context import Context
from resonate.core.engine.environment import Dependencies, Environment
from resonate.core.engine.execution import Execution
from resonate.core.engine.identity import Identity
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.records import NO_VALUE, PromiseRecord, PromiseState, Tag, Value
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle
from resonate.core.registry import Function, Registry
from resonate.core.values import Call, Codec, Signature
from resonate.logs import WorkflowLog
from resonate.runtime.recording import Recording

_OWN: Final = str(Path(ids.__file__).parent.parent)
"""Where this library is."""
ROUNDS: Final = 100_000
"""A replay that is answered so often without an end is not going to end."""


@frozen(kw_only=True)
class Asked:
    """Something that the code asked for."""

    id: str
    role: Role
    identity: Identity
    param: Value
    signature: Signature | None = None
    frame: FrameType | None = None
    line: int = 0
    """Where the frame stood then; it goes on, if only to be closed."""


@frozen(kw_only=True)
class Course:
    """How a replay went.

    Args:
        asked: how many recorded things the code asked for.
        news: what it asked for that is not recorded.
        unasked: what is recorded that it did not ask for.
        different: what it asked for where the recording has something else, and that record.
        outcome: how it ended, if it did.
        error: why the engine stopped it, if it did.
        awaiting: what it waits for, if it did not end.
    """

    asked: int
    news: tuple[Asked, ...]
    unasked: tuple[PromiseRecord, ...]
    different: tuple[Asked, PromiseRecord] | None
    outcome: PromiseSettle | None
    error: Exception | None
    awaiting: tuple[str, ...]


class _Watched(Execution):
    """An execution that notes what its workflow asks for, and where."""

    records: dict[str, PromiseRecord]
    asked: dict[str, Asked]
    different: tuple[Asked, PromiseRecord] | None
    stops: bool

    def watch(self, records: dict[str, PromiseRecord], *, stops: bool) -> None:
        """Begin to take notes; `stops` at a difference in a debugger."""
        self.records, self.asked, self.different, self.stops = records, {}, None, stops

    def ask(self, role: Role, identity: Identity, *, param: Value = NO_VALUE, **rest: Any) -> Child:
        """Note down what is asked for."""
        went_on = self.stopped is None
        child = super().ask(role, identity, param=param, **rest)
        if not went_on or child.id in self.asked:
            return child
        record = self.records.get(child.id)
        asked = Asked(id=child.id, role=role, identity=identity, param=param, signature=child.signature)
        if record is None or self.stopped is not None:
            frame = _users_frame()
            asked = evolve(asked, frame=frame, line=0 if frame is None else frame.f_lineno)
        self.asked[child.id] = asked
        if record is not None and self.stopped is not None:
            self.different = asked, record
            if self.stops and asked.frame is not None:
                pdb.Pdb(skip=["resonate.*"]).set_trace(asked.frame)
        return child


def run(
    recording: Recording,
    function: Function,
    call: Call,
    *,
    registry: Registry,
    codec: Codec,
    dependencies: Dependencies,
    debug: bool = False,
) -> Course:
    """Replay a workflow over its recording.

    Args:
        recording: the recording.
        function: the workflow.
        call: its arguments.
        registry: what it may call by name.
        codec: reads and writes values.
        dependencies: what it may ask for.
        debug: stop in a debugger where it differs.
    """
    promise = evolve(recording.promise, state=PromiseState.PENDING, value=NO_VALUE, settled_at=None)
    env = Environment(
        codec=codec,
        registry=registry,
        address=lambda target: target if target is not None and "://" in target else f"poll://any@{target or 'replay'}",
        random=random.Random,
        logger=lambda name, known, _replaying: WorkflowLog(name, known, lambda: True),
        dialect=evolve(OURS, separator=recording.separator),
        dependencies=dependencies,
    )
    execution = _Watched(env, Context, promise, function, call, recording.history)
    execution.watch({one.id: one for one in recording.history}, stops=debug)
    try:
        return _drive(execution, recording)
    finally:
        execution.close()


def _drive(execution: _Watched, recording: Recording) -> Course:
    now = _instant(recording)
    known = dict(execution.records)
    commands = execution.start(now)
    outcome: PromiseSettle | None = None
    error: Exception | None = None
    for _ in range(ROUNDS):
        events: list[do.Event] = []
        looked = False
        for command in commands:
            match command:
                case do.Write(action=action):
                    record = _answer(action, execution, known, now)
                    if record is not None:
                        known[record.id] = record
                        events.append(do.PromiseKnown(record))
                case do.Look(ids=wanted):
                    looked = True
                    events += [do.PromiseKnown(known[one]) for one in wanted if one in known]
                case do.Fulfill(action=action):
                    outcome = action
                case do.Stop(error=stopped):
                    error = stopped
                case _:
                    pass  # steps are not run, and nobody waits
        if outcome is not None or error is not None or not (events or looked):
            break
        commands = execution.step(events, now)
    asked = [one for one in execution.asked if one in execution.records]
    return Course(
        asked=len(asked),
        news=tuple(one for one in execution.asked.values() if one.id not in execution.records and _counts(one)),
        unasked=_unasked(execution, recording),
        different=execution.different if error is not None else None,
        outcome=outcome,
        error=error,
        awaiting=execution.awaiting,
    )


def _instant(recording: Recording) -> int:
    """Return when the replay plays: after all that was recorded, and before the deadline."""
    promise = recording.promise
    end = recording.recorded_at if promise.settled_at is None else promise.settled_at
    return max(promise.created_at, min(end, promise.timeout_at - 1))


def _answer(
    action: PromiseCreate | PromiseSettle, execution: _Watched, known: dict[str, PromiseRecord], now: int
) -> PromiseRecord | None:
    """Return how the store would have the promise; None for what only the future can tell."""
    if isinstance(action, PromiseSettle):
        record = known.get(action.id)
        if record is None or record.state is not PromiseState.PENDING:
            return record
        return evolve(record, state=action.state, value=action.value, settled_at=now)
    asked = execution.asked.get(action.id)
    if asked is not None and _counts(asked):
        return None
    late = action.timeout_at <= now
    return PromiseRecord(
        id=action.id,
        state=PromiseState.RESOLVED if late else PromiseState.PENDING,
        param=action.param,
        tags=action.tags,
        timeout_at=action.timeout_at,
        created_at=now,
        settled_at=action.timeout_at if late else None,
    )


def _counts(asked: Asked) -> bool:
    return asked.role is not Role.DETACHED


def _unasked(execution: _Watched, recording: Recording) -> tuple[PromiseRecord, ...]:
    """Return what was recorded and not asked for, less what lies inside of a workflow that is not run again."""
    over = {one.id for one in recording.history if one.state is not PromiseState.PENDING}
    parents = {one.id: one.tags.get(Tag.PARENT, "") for one in recording.history}
    return tuple(
        one
        for one in sorted(recording.history, key=lambda one: (one.created_at, ids.natural_key(one.id)))
        if one.id not in execution.asked
        and not ids.is_own(recording.id, one.id, recording.separator)
        and not _lies_in(one.id, over, parents)
        and one.tags.get(Tag.PARENT) != one.id  # detached
    )


def _lies_in(promise_id: str, over: set[str], parents: dict[str, str]) -> bool:
    above = parents.get(promise_id, "")
    while above in parents:
        if above in over:
            return True
        promise_id, above = above, parents[above]
        if promise_id == above:
            break
    return False


def _users_frame() -> FrameType | None:
    """Return the innermost frame that is neither this library's nor the event loop's."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # it has no other name
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(_OWN) and "/asyncio/" not in path:
            return frame
        frame = frame.f_back
    return None
