"""Why an execution does not go on: what it waits for, down to the leaves.

Law 1: a cause is what somebody can act on, or a clock will end; what lies between it and the question is its path.
Law 2: the worst cause comes first: what will not pass by itself before what will.
Law 3: a sentence says what is known and how; what is only likely is called likely.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from resonate.core.protocol.records import PromiseState


class CauseKind(StrEnum):
    """Why something does not go on, the worst first; `MEANINGS` says what each means."""

    UNKNOWN = "unknown"
    CYCLE = "cycle"
    CODE_CHANGED = "code_changed"
    FUNCTION_MISSING = "function_missing"
    STOPPED = "stopped"
    HALTED = "halted"
    NO_WORKER = "no_worker"
    HOLDER_DEAD = "holder_dead"
    LEASE_LAPSED = "lease_lapsed"
    NO_PROGRESS = "no_progress"
    NOT_TAKEN = "not_taken"
    STEP_RETRYING = "step_retrying"
    NOT_RESUMED = "not_resumed"
    UNSETTLED = "unsettled"
    STEP_RUNNING = "step_running"
    RUNNING = "running"
    DELAYED = "delayed"
    TIMER = "timer"
    SETTLED = "settled"


MEANINGS: Final = {
    CauseKind.UNKNOWN: "there is no such promise",
    CauseKind.CYCLE: "it waits for itself",
    CauseKind.CODE_CHANGED: "its code no longer matches its history",
    CauseKind.FUNCTION_MISSING: "its function is not registered where it was offered",
    CauseKind.STOPPED: "it could not go on in this process, for another reason",
    CauseKind.HALTED: "an operator halted it",
    CauseKind.NO_WORKER: "no worker of its group is connected",
    CauseKind.HOLDER_DEAD: "the process that holds it is dead",
    CauseKind.LEASE_LAPSED: "its lease has run out, and the server has yet to offer it again",
    CauseKind.NO_PROGRESS: "workers take it again and again, and it gets no further",
    CauseKind.NOT_TAKEN: "it is offered, and no worker has taken it",
    CauseKind.STEP_RETRYING: "a step has failed and is tried again",
    CauseKind.NOT_RESUMED: "it is suspended, and nothing that it waits for is pending",
    CauseKind.UNSETTLED: "a promise that somebody outside is to settle is pending",
    CauseKind.STEP_RUNNING: "a step is under way",
    CauseKind.RUNNING: "a worker drives it",
    CauseKind.DELAYED: "it is not to start yet",
    CauseKind.TIMER: "a timer has yet to ring",
    CauseKind.SETTLED: "it is over",
}
SEVERITY: Final = {kind: place for place, kind in enumerate(CauseKind)}


@frozen(kw_only=True)
class Cause:
    """One reason why an execution does not go on. All instants are epoch ms.

    Args:
        kind: which.
        text: the reason, as a sentence that has the leaf as its subject where it names one.
        hint: what to do about it, as a sentence; None if nothing has to be done.
        path: the ids from what was asked about to the leaf, both included.
        since: since when, None if that is not known.
        until: when it ends by itself, None if it doesn't or if that is not known.
        group: the worker group concerned.
        pid: the process concerned.
        error: the error concerned, in one line.
        state: the state of a promise that is settled.
    """

    kind: CauseKind
    text: str
    hint: str | None = None
    path: tuple[str, ...]
    since: int | None = None
    until: int | None = None
    group: str | None = None
    pid: str | None = None
    error: str | None = None
    state: PromiseState | None = None

    @property
    def id(self) -> str:
        """The promise that it is about: the leaf."""
        return self.path[-1]


@frozen(kw_only=True)
class Step:
    """One promise on the way to a cause: its id, and what it is and does, in words."""

    id: str
    text: str


@frozen(kw_only=True)
class Why:
    """The answer to "why is it stuck": its text is the answer in lines, of which the first names the worst cause.

    Args:
        id: what was asked about.
        now: when.
        causes: the reasons, the worst first; never empty.
        steps: the way from what was asked about to the first cause.
        whole: whether all promises of the executions were seen.
    """

    id: str
    now: int
    causes: tuple[Cause, ...]
    steps: tuple[Step, ...] = ()
    whole: bool = True

    @property
    def cause(self) -> Cause:
        """The worst cause."""
        return self.causes[0]

    @property
    def line(self) -> str:
        """The answer in one line."""
        more = len(self.causes) - 1
        beside = f" (and {more} more)" if more else ""
        cause = self.cause
        if cause.id == self.id:
            text = cause.text if cause.text.startswith(f"{self.id} ") else cause.text[:1].upper() + cause.text[1:]
            return f"{text}{beside}"
        return f"{self.id} waits for {cause.id}{beside}: {cause.text}"

    def lines(self, shown: int = 5) -> tuple[str, ...]:
        """Return the answer in lines: the worst cause, the way to it, what to do, and up to `shown` causes in all."""
        lines = [self.line]
        if len(self.steps) > 1:
            lines += [
                f"{'  ' * depth}{'' if not depth else '> '}{step.text}" for depth, step in enumerate(self.steps, 1)
            ]
        if self.cause.hint is not None:
            lines.append(f"To do: {self.cause.hint}")
        others = self.causes[1:shown]
        if others:
            lines.append("Also:")
            lines += [f"  {cause.text}" for cause in others]
        if len(self.causes) > max(shown, 1):
            lines.append(f"  ... and {len(self.causes) - max(shown, 1)} more")
        if not self.whole:
            lines.append("The server serves no searches, so there may be promises that were not seen.")
        return tuple(lines)

    def __str__(self) -> str:
        """Return the answer in lines."""
        return "\n".join(self.lines())
