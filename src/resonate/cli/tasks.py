"""`tasks get|search`, and `halt` and `continue`: tasks as such."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from resonate.cli.door import Door, Refused, Yes, command
from resonate.cli.searching import After, Limit, Listed, Tags, search
from resonate.cli.shapes import task_shape
from resonate.cli.texts import Id, pairs
from resonate.core.protocol.records import TaskRecord, TaskState
from resonate.core.protocol.requests import Rejection, Request, Status, TaskContinue, TaskGet, TaskHalt, TaskSearch
from resonate.errors import NotFound, UsageError
from resonate.ports.store import Store

_LISTED = Listed(
    key="tasks",
    shape=task_shape,
    columns=("STATE", "ID", "VERSION", "HELD BY"),
    row=lambda one, _now: (one.state.value, one.id, str(one.version), one.pid or ""),
)

app = typer.Typer()
group = typer.Typer(help="Tasks as such: what workers are offered.", no_args_is_help=True)
app.add_typer(group, name="tasks")


@command(group, "get")
async def get(door: Door, id: Id) -> None:
    """Show a task."""
    async with door.reading() as (store, _):
        task = await _get(store, id)
    if door.out.json:
        door.out.document(task_shape(task))
        return
    for name, value in task_shape(task).items():
        if value is not None:
            door.out.line(f"{name:<10} {value}")


@command(group, "search")
async def search_tasks(
    door: Door,
    state: Annotated[str | None, typer.Option("--state", "-s", help="Only in this state.")] = None,
    tag: Tags = None,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """List tasks in the order of their ids; tags are those of their promises."""
    wanted = None if state is None else _state(state)
    await search(door, TaskSearch(state=wanted, tags=pairs(tag, "A tag"), limit=limit, cursor=after), _LISTED)


@command(app)
async def halt(door: Door, id: Id, *, yes: Yes = False) -> None:
    """Stop an execution until it is continued. No worker is offered it."""
    door.confirm(f"Halt {id}? Whoever runs it now stops at its next durable step.", yes=yes)
    await _do(door, TaskHalt(id), id, "is halted")


@command(app, "continue")
async def continue_(door: Door, id: Id) -> None:
    """Let a halted execution run again."""
    await _do(door, TaskContinue(id), id, "is offered to workers again")


async def _do(door: Door, request: Request[Any], id: str, done: str) -> None:
    async with door.writing() as (store, _):
        reply = await store.send(request)
        if isinstance(reply, Rejection):
            raise _no_task(id) if reply.status == Status.NOT_FOUND else Refused(f"Refused: {reply.message}.")
        task = await _get(store, id)
    if door.out.json:
        door.out.document(task_shape(task))
    else:
        door.out.line(f"{id} {done}.")


async def _get(store: Store, id: str) -> TaskRecord:
    reply = await store.send(TaskGet(id))
    if isinstance(reply, Rejection):
        raise _no_task(id) if reply.status == Status.NOT_FOUND else Refused(f"Refused: {reply.message}.")
    return reply.task


def _no_task(id: str) -> NotFound:
    return NotFound(f"There is no task {id}.", hint="Only executions have one: promises that name a target.")


def _state(name: str) -> TaskState:
    try:
        return TaskState(name)
    except ValueError:
        raise UsageError(f"{name!r} is no state of a task.", hint=f"They are {', '.join(TaskState)}.") from None
