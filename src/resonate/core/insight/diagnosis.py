"""Decides why an execution does not go on, from a picture of it.

Law 1: the walk follows what waits for what, and ends: what is on its own path is a cycle, and is the cause.
Law 2: a promise that several wait for is walked once.

Theory of operation. A suspended execution waits for the promises that will resume it: the store says which, or they
are those that it asked for, that others settle, and that are pending. One that is held waits for its own steps. One
that nobody holds waits for a worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from resonate.core.insight import words
from resonate.core.insight.causes import SEVERITY, Cause, CauseKind, Step, Why
from resonate.core.insight.payloads import callee, failure
from resonate.core.insight.picture import Picture, is_execution, is_pending, may_be_awaited
from resonate.core.insight.tree import Kind, children_by_id, group_of, kind_of, status_of
from resonate.core.payload import brief
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag, TaskRecord, TaskState
from resonate.errors import DeterminismError, FunctionNotRegistered, NondeterminismError

CYCLING = 3
"""So many acquisitions without a promise to show for them are called no progress."""


def why_of(picture: Picture, id: str, near: Sequence[str] = ()) -> Why:
    """Return why the promise `id` is not settled, or how it was.

    Args:
        picture: what is known.
        id: what is asked about.
        near: ids that are like it, for the case that there is none.
    """
    if id not in picture.records:
        return Why(id=id, now=picture.now, causes=(_unknown(id, near),))
    found = _Walk(picture).causes(id)
    found.sort(key=lambda cause: (SEVERITY[cause.kind], cause.until is not None, cause.until or 0))
    steps = tuple(_step(picture, each) for each in found[0].path)
    return Why(id=id, now=picture.now, causes=tuple(found), steps=steps, whole=picture.whole)


def _unknown(id: str, near: Sequence[str]) -> Cause:
    like = f"Ids like it: {', '.join(near)}." if near else "Look at the ids that there are: resonate ps --all."
    return Cause(kind=CauseKind.UNKNOWN, text=f"There is no promise {id}.", hint=like, path=(id,))


def _step(picture: Picture, id: str) -> Step:
    record = picture.records[id]
    task = picture.tasks.get(id) if is_execution(record) else None
    return Step(id=id, text=f"{id} {_what(record)}: {status_of(record, task).value}")


def _what(record: PromiseRecord) -> str:
    function, version = callee(record.param)
    kind = kind_of(record)
    if function is None or kind not in {Kind.EXECUTION, Kind.CALL}:
        return kind.value
    return function if version in {None, 1} else f"{function}@{version}"


class _Walk:
    """One walk through a picture."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._now = picture.now
        self._below = children_by_id(picture)
        self._seen: set[str] = set()

    def causes(self, id: str) -> list[Cause]:
        """Return all causes below a promise."""
        self._seen = {id}
        found: list[Cause] = []
        ahead: list[tuple[str, ...]] = [(id,)]
        cycle: tuple[str, ...] = ()
        while ahead:
            path = ahead.pop()
            result = self._at(path)
            if isinstance(result, Cause):
                found.append(result)
                continue
            for each in result:
                if each not in self._seen:
                    self._seen.add(each)
                    ahead.append((*path, each))
                elif each in path or not cycle:
                    cycle = (*path, each)
        # Where everything waits for something else, it goes round.
        return found or [self._cycle(cycle)]

    def _at(self, path: tuple[str, ...]) -> Cause | list[str]:
        """Return the cause at the end of a path, or what is waited for there."""
        record = self._picture.records[path[-1]]
        if not is_pending(record):
            return self._settled(record, path)
        match kind_of(record):
            case Kind.EXECUTION:
                return self._execution(record, path)
            case Kind.TIMER | Kind.RECORD:
                return self._timer(record, path)
            case Kind.PROMISE:
                return self._unsettled(record, path)
            case _:
                return self._call(record, path)

    # ------------------------------------------------------------ leaves that are promises

    def _settled(self, record: PromiseRecord, path: tuple[str, ...]) -> Cause:
        at = record.timeout_at if record.settled_at is None else record.settled_at
        ago = f"{words.span(self._now - at)} ago, at {words.instant(at)}"
        error = hint = None
        match record.state:
            case PromiseState.REJECTED:
                error = failure(record.value)
                origin = self._failed_first(record)
                where = "" if origin == record.id else f" (raised by {origin})"
                text = f"{record.id} is over: it failed {ago}, with {error}{where}"
            case PromiseState.REJECTED_CANCELED:
                text = f"{record.id} is over: it was canceled {ago}."
            case PromiseState.REJECTED_TIMEDOUT:
                text = f"{record.id} is over: it passed its deadline {ago}, before anybody settled it."
                hint = "Start it anew under another id, with a longer timeout."
            case _:
                text = f"{record.id} is over: it succeeded {ago}."
        return Cause(
            kind=CauseKind.SETTLED,
            text=text,
            hint=hint,
            path=path,
            since=at,
            error=error,
            state=record.state,
        )

    def _failed_first(self, record: PromiseRecord) -> str:
        """Return the deepest promise below that failed with the same error."""
        id = record.id
        while True:
            same = [
                child
                for child in self._below.get(id, ())
                if self._picture.records[child].state is PromiseState.REJECTED
                and failure(self._picture.records[child].value) == failure(record.value)
            ]
            if not same:
                return id
            id = same[-1]

    def _timer(self, record: PromiseRecord, path: tuple[str, ...]) -> Cause:
        at = record.timeout_at
        return Cause(
            kind=CauseKind.TIMER,
            text=f"the timer {record.id} rings in {words.span(at - self._now)}, at {words.instant(at)}.",
            path=path,
            since=record.created_at,
            until=at,
        )

    def _unsettled(self, record: PromiseRecord, path: tuple[str, ...]) -> Cause:
        waited, left = words.span(self._now - record.created_at), words.span(record.timeout_at - self._now)
        return Cause(
            kind=CauseKind.UNSETTLED,
            text=f"nobody has settled the promise {record.id} in {waited}; its deadline is in {left}.",
            hint=f"Whoever is to settle it has to: {words.command('resolve', record.id)} (or reject).",
            path=path,
            since=record.created_at,
            until=record.timeout_at,
        )

    # ------------------------------------------------------------ calls that run where their caller runs

    def _call(self, record: PromiseRecord, path: tuple[str, ...]) -> Cause | list[str]:
        inside = self._calls(record.id) or self._waited_for(record.id)
        if inside:
            return inside
        owner = self._owner(record.id)
        task = None if owner is None else self._picture.tasks.get(owner)
        if owner is None or task is None or owner in path:
            return self._step_running(record, path, task)
        if task.state is TaskState.ACQUIRED:
            gone = self._lease(owner, task, path)
            return gone or self._step_running(record, path, task)
        return [owner]  # nobody runs it now: because of its execution

    def _step_running(self, record: PromiseRecord, path: tuple[str, ...], task: TaskRecord | None) -> Cause:
        here = self._picture.here
        pid = None if task is None else task.pid
        name = f"{record.id} ({_what(record)})"
        retrying = None if here is None or pid != here.pid else here.retrying.get(record.id)
        if retrying is not None:
            failed = f"failed {words.count(retrying.failures, 'time')}, last with {retrying.error}"
            again = f"it is tried again in {words.span(retrying.next_at - self._now)}"
            return Cause(
                kind=CauseKind.STEP_RETRYING,
                text=f"the step {name} has {failed}; {again}.",
                hint="Mend what it calls; or cancel the step's promise: it is not tried again, and "
                "the workflow gets PromiseCanceled.",
                path=path,
                since=record.created_at,
                until=retrying.next_at,
                pid=pid,
                error=retrying.error,
            )
        on = "" if pid is None else f" in process {pid}"
        since = words.span(self._now - record.created_at)
        lease = "" if task is None else self._lease_left(task.id)
        known = here is not None and pid == here.pid
        or_between = "" if known else ", or between two attempts (that process's log says which)"
        return Cause(
            kind=CauseKind.STEP_RUNNING,
            text=f"the step {name} has been running for {since}{on}{or_between}{lease}.",
            path=path,
            since=record.created_at,
            until=record.timeout_at,
            pid=pid,
        )

    # ------------------------------------------------------------ executions

    def _execution(self, record: PromiseRecord, path: tuple[str, ...]) -> Cause | list[str]:
        task = self._picture.tasks.get(record.id)
        state = TaskState.PENDING if task is None else task.state
        match state:
            case TaskState.HALTED:
                return self._halted(record, path)
            case TaskState.SUSPENDED:
                return self._waited_for(record.id) or self._not_resumed(record, path)
            case TaskState.ACQUIRED if task is not None:
                return self._held(record, task, path)
            case _:
                return self._offered(record, task, path)

    def _halted(self, record: PromiseRecord, path: tuple[str, ...]) -> Cause:
        return Cause(
            kind=CauseKind.HALTED,
            text=f"{record.id} ({_what(record)}) was halted, and no worker is offered it.",
            hint=words.command("continue", record.id),
            path=path,
            until=record.timeout_at,
        )

    def _not_resumed(self, record: PromiseRecord, path: tuple[str, ...]) -> Cause:
        group, facts = group_of(record.tags.get(Tag.TARGET, "")), self._picture.facts
        if facts is not None and not facts.groups.get(group):
            return Cause(
                kind=CauseKind.NO_WORKER,
                text=f"what {record.id} ({_what(record)}) waited for is over, and no worker of group {group} "
                "is connected.",
                hint=f"Start a worker of group {group}: it goes on.",
                path=path,
                group=group,
            )
        return Cause(
            kind=CauseKind.NOT_RESUMED,
            text=f"{record.id} ({_what(record)}) is suspended, and nothing that it is seen to wait for is pending.",
            hint="Ask again in a moment: the server may be about to resume it. If it stays, it waits for a promise "
            "that is not its own; its code says which.",
            path=path,
        )

    def _offered(self, record: PromiseRecord, task: TaskRecord | None, path: tuple[str, ...]) -> Cause:
        group = group_of(record.tags[Tag.TARGET])
        if task is None or task.version == 0:
            start = _start_of(record)
            if start > self._now:
                return self._delayed(record, path, start)
        trouble = self._trouble(record, group, path, task)
        if trouble is not None:
            return trouble
        since = self._since(record, task)
        what = f"the task {record.id} ({_what(record)})"
        waited = _for(since, self._now, taken=task is not None and task.version > 0)
        facts = self._picture.facts
        if facts is not None and not facts.groups.get(group):
            return Cause(
                kind=CauseKind.NO_WORKER,
                text=f"no worker of group {group} has taken {what} {waited}: none is connected.",
                hint=f"Start a worker of group {group}.",
                path=path,
                since=since,
                until=record.timeout_at,
                group=group,
            )
        if task is not None and self._spins(record, task):
            return self._no_progress(record, task, path, group)
        members = "" if facts is None else f", though {_members(facts.groups[group])}"
        return Cause(
            kind=CauseKind.NOT_TAKEN,
            text=f"no worker of group {group} has taken {what} {waited}{members}.",
            hint=f"See that workers of group {group} run, are not full, and reach the server.",
            path=path,
            since=since,
            until=record.timeout_at,
            group=group,
        )

    def _delayed(self, record: PromiseRecord, path: tuple[str, ...], start: int) -> Cause:
        left = words.span(start - self._now)
        return Cause(
            kind=CauseKind.DELAYED,
            text=f"{record.id} ({_what(record)}) is not to start before {words.instant(start)}, in {left}.",
            path=path,
            since=record.created_at,
            until=start,
        )

    def _held(self, record: PromiseRecord, task: TaskRecord, path: tuple[str, ...]) -> Cause | list[str]:
        gone = self._lease(record.id, task, path)
        if gone is not None:
            return gone
        group = group_of(record.tags[Tag.TARGET])
        trouble = self._trouble(record, group, path, task)
        if trouble is not None:
            return trouble
        waited = self._calls(record.id) or self._waited_for(record.id)
        if waited:
            return waited
        if self._spins(record, task):
            return self._no_progress(record, task, path, group)
        return Cause(
            kind=CauseKind.RUNNING,
            text=f"{record.id} ({_what(record)}) is being run by process {task.pid}{self._lease_left(record.id)}.",
            path=path,
            pid=task.pid,
            until=self._expires(record.id),
        )

    def _lease(self, id: str, task: TaskRecord, path: tuple[str, ...]) -> Cause | None:
        """Return the cause if whoever holds a task does no longer."""
        facts, expires = self._picture.facts, self._expires(id)
        dead = facts is not None and facts.alive.get(task.pid or "") is False
        name = f"{id} ({_what(self._picture.records[id])})"
        whole = (*path, id) if id != path[-1] else path
        if expires is not None and expires <= self._now:
            ago = words.span(self._now - expires)
            return Cause(
                kind=CauseKind.LEASE_LAPSED,
                text=f"{name} is held by process {task.pid}, whose lease ran out {ago} ago.",
                hint="The server offers it to others once it looks; a file does so while a process works on it.",
                path=whole,
                since=expires,
                pid=task.pid,
            )
        if dead:
            return Cause(
                kind=CauseKind.HOLDER_DEAD,
                text=f"{name} is held by process {task.pid}, which is dead{self._lease_left(id)}.",
                hint="Start a worker on this file: it gives the task to others at once, and so does the lease's end.",
                path=whole,
                until=expires,
                pid=task.pid,
            )
        return None

    def _trouble(
        self, record: PromiseRecord, group: str, path: tuple[str, ...], task: TaskRecord | None
    ) -> Cause | None:
        """Return the cause if this process knows that it can't run the execution."""
        here = self._picture.here
        if here is None:
            return None
        function, version = callee(record.param)
        holder = None if task is None else task.pid
        if holder is not None and holder != here.pid:
            return None
        error = here.troubles.get(record.id)
        missing = group == here.group and function is not None and not here.registered(function, version)
        if isinstance(error, FunctionNotRegistered) or (error is None and missing):
            asked = "" if version is None else f" in version {version}"
            return Cause(
                kind=CauseKind.FUNCTION_MISSING,
                text=f"the function {function}{asked} of {record.id} is not registered in process {here.pid} "
                f"of group {group}.",
                hint=(error and error.hint) or "Register it there, or have a worker that has it join the group.",
                path=path,
                group=group,
                pid=here.pid,
                error=None if error is None else brief(str(error)),
            )
        if error is None:
            return None
        changed = isinstance(error, NondeterminismError | DeterminismError)
        return Cause(
            kind=CauseKind.CODE_CHANGED if changed else CauseKind.STOPPED,
            text=f"{record.id} ({_what(record)}) was stopped in process {here.pid}, and is kept: "
            f"{brief(error.message)}",
            hint=error.hint,
            path=path,
            pid=here.pid,
            error=brief(str(error)),
        )

    def _spins(self, record: PromiseRecord, task: TaskRecord) -> bool:
        """Say whether it was taken more often than anything that settled can explain."""
        settled = sum(
            may_be_awaited(self._picture.records[child]) and not is_pending(self._picture.records[child])
            for child in self._members_of(record.id)
        )
        return task.version - settled >= CYCLING

    def _no_progress(self, record: PromiseRecord, task: TaskRecord, path: tuple[str, ...], group: str) -> Cause:
        function = _what(record)
        started = any(True for _ in self._members_of(record.id))
        likely = "its code may have changed, or its process may die" if started else f"{function} may not be registered"
        return Cause(
            kind=CauseKind.NO_PROGRESS,
            text=f"{record.id} ({function}) was taken by workers of group {group} "
            f"{words.count(task.version, 'time')} and gets no further: {likely} there.",
            hint=f"Look in the logs of group {group} for {record.id}: they say why it was given back.",
            path=path,
            until=record.timeout_at,
            group=group,
            pid=task.pid,
        )

    def _cycle(self, path: tuple[str, ...]) -> Cause:
        id = path[-1]
        return Cause(
            kind=CauseKind.CYCLE,
            text=f"{id} waits for itself: {' > '.join(path[path.index(id) :]) if id in path[:-1] else id}.",
            hint=f"Cancel one of them: {words.command('cancel', id)}",
            path=path,
        )

    # ------------------------------------------------------------ who waits for what

    def _waited_for(self, id: str) -> list[str]:
        """Return what a call waits for: as the store says, else all that it asked for and others settle."""
        facts, records = self._picture.facts, self._picture.records
        known = () if facts is None else facts.awaiting.get(id, ())
        if known:
            return [each for each in known if each in records]
        pending = [child for child in self._members_of(id) if is_pending(records[child])]
        awaited = [child for child in pending if may_be_awaited(records[child])]
        return [child for child in awaited if not self._picture.is_own(records[child])] or awaited

    def _calls(self, id: str) -> list[str]:
        """Return the calls that run where `id` runs and have nothing below that is pending."""
        records = self._picture.records
        return [
            child
            for child in self._members_of(id)
            if is_pending(records[child]) and kind_of(records[child]) is Kind.CALL and not self._has_pending(child)
        ]

    def _has_pending(self, id: str) -> bool:
        return any(is_pending(self._picture.records[child]) for child in self._below.get(id, ()))

    def _members_of(self, id: str) -> Iterable[str]:
        """Yield what belongs to one execution: all below, but not what is below another execution."""
        ahead = list(self._below.get(id, ()))
        while ahead:
            child = ahead.pop()
            yield child
            if not is_execution(self._picture.records[child]):
                ahead.extend(self._below.get(child, ()))

    def _owner(self, id: str) -> str | None:
        """Return the execution that a call runs in."""
        records, seen = self._picture.records, set[str]()
        parent: str | None = id
        while parent is not None and parent not in seen:
            seen.add(parent)
            parent = self._picture.parent(parent)
            if parent is not None and is_execution(records[parent]):
                return parent
        return None

    # ------------------------------------------------------------ times

    def _expires(self, id: str) -> int | None:
        return None if self._picture.facts is None else self._picture.facts.expires.get(id)

    def _lease_left(self, id: str) -> str:
        expires = self._expires(id)
        return "" if expires is None else f"; its lease ends in {words.span(expires - self._now)}"

    def _since(self, record: PromiseRecord, task: TaskRecord | None) -> int | None:
        """Return since when a task is offered: since it could start, or since what resumed it settled."""
        if task is None or task.version == 0:
            return _start_of(record)
        if not task.resumes:
            return None
        settled = [self._picture.records[child].settled_at or 0 for child in self._members_of(record.id)]
        return max(settled, default=0) or None


def _start_of(record: PromiseRecord) -> int:
    delay = record.tags.get(Tag.DELAY, "")
    return max(record.created_at, int(delay)) if delay.isascii() and delay.isdecimal() else record.created_at


def _for(since: int | None, now: int, *, taken: bool) -> str:
    if since is None:
        return "again" if taken else "yet"
    return f"since {words.instant(since)} ({words.span(now - since)})"


def _members(pids: Sequence[str]) -> str:
    if len(pids) == 1:
        return f"{pids[0]} is connected"
    return f"{len(pids)} are connected"
