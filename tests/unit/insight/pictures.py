"""Pictures made by hand."""

from __future__ import annotations

from resonate.core.engine.identity import Identity, Kind
from resonate.core.insight.picture import Facts, Here, Picture
from resonate.core.protocol.records import NO_VALUE, PromiseRecord, PromiseState, Tag, TaskRecord, TaskState, Value

NOW = 1_735_689_600_000
FAR = NOW + 3_600_000
LOCAL = {Tag.SCOPE: "local"}
TIMER = {Tag.TIMER: "true", Tag.SCOPE: "global"}
OUTSIDE = {Tag.EXTERNAL: "true", Tag.SCOPE: "global"}


def on(group: str, **more: str) -> dict[str, str]:
    return {Tag.TARGET: f"poll://any@{group}", Tag.SCOPE: "global", **more}


def promise(
    id: str,
    tags: dict[str, str] | None = None,
    *,
    parent: str | None = None,
    call: str = "work",
    kind: Kind = Kind.RPC,
    state: PromiseState = PromiseState.PENDING,
    value: Value = NO_VALUE,
    made: int = NOW - 60_000,
    settled: int | None = None,
) -> PromiseRecord:
    if state is not PromiseState.PENDING and settled is None:
        settled = NOW - 1_000
    return PromiseRecord(
        id=id,
        state=state,
        param=Identity(kind, call).on(NO_VALUE, {}),
        value=value,
        tags={**({} if parent is None else {Tag.PARENT: parent}), **(tags or {})},
        timeout_at=FAR,
        created_at=made,
        settled_at=settled,
    )


def task(id: str, state: TaskState, version: int = 1, **more) -> TaskRecord:
    return TaskRecord(id=id, state=state, version=version, **more)


def picture(
    *promises: PromiseRecord,
    tasks: tuple[TaskRecord, ...] = (),
    facts: Facts | None = None,
    here: Here | None = None,
    whole: bool = True,
) -> Picture:
    return Picture(
        now=NOW,
        records={one.id: one for one in promises},
        tasks={one.id: one for one in tasks},
        facts=facts,
        here=here,
        whole=whole,
    )
