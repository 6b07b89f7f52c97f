"""`schedules get|search|delete`."""

from __future__ import annotations

import typer

from resonate.cli.door import Door, Refused, Yes, command
from resonate.cli.searching import After, Limit, Listed, Tags, search
from resonate.cli.shapes import schedule_shape
from resonate.cli.texts import Id, pairs
from resonate.core.insight.words import instant, span
from resonate.core.payload import peek, shown
from resonate.core.protocol.records import ScheduleRecord
from resonate.core.protocol.requests import Rejection, ScheduleDelete, ScheduleGet, ScheduleSearch, Status
from resonate.errors import NotFound, StoreError

_LISTED = Listed(
    key="schedules",
    shape=schedule_shape,
    columns=("ID", "CRON", "NEXT"),
    row=lambda one, now: (one.id, one.cron, f"{instant(one.next_run_at)} (in {span(one.next_run_at - now)})"),
)

app = typer.Typer()
group = typer.Typer(help="Schedules: what is run at instants.", no_args_is_help=True)
app.add_typer(group, name="schedules")


@command(group, "get")
async def get(door: Door, id: Id) -> None:
    """Show a schedule."""
    async with door.reading() as (store, clock):
        reply = await store.send(ScheduleGet(id))
        now = clock.now()
    if isinstance(reply, Rejection):
        raise _refusal(id, reply)
    if door.out.json:
        door.out.document(schedule_shape(reply.schedule))
        return
    for name, text in _facts(reply.schedule, now):
        door.out.line(f"{name:<10} {text}")


@command(group, "search")
async def search_schedules(door: Door, tag: Tags = None, limit: Limit = 100, after: After = None) -> None:
    """List schedules in the order of their ids; tags are those of the promises that they make."""
    await search(door, ScheduleSearch(tags=pairs(tag, "A tag"), limit=limit, cursor=after), _LISTED)


@command(group, "delete")
async def delete(door: Door, id: Id, *, yes: Yes = False) -> None:
    """Delete a schedule; executions that it started go on."""
    door.confirm(f"Delete the schedule {id}?", yes=yes)
    async with door.writing() as (store, _):
        reply = await store.send(ScheduleDelete(id))
    if isinstance(reply, Rejection):
        raise _refusal(id, reply)
    if door.out.json:
        door.out.document({"deleted": id})
    else:
        door.out.line(f"The schedule {id} is deleted.")


def _facts(schedule: ScheduleRecord, now: int) -> list[tuple[str, str]]:
    last = "never" if schedule.last_run_at is None else instant(schedule.last_run_at)
    return [
        ("id", schedule.id),
        ("cron", schedule.cron),
        ("next", f"{instant(schedule.next_run_at)} (in {span(schedule.next_run_at - now)})"),
        ("last", last),
        ("makes", schedule.promise_id),
        ("timeout", span(schedule.promise_timeout)),
        *(("tag", f"{name}={text}") for name, text in sorted(schedule.promise_tags.items())),
        ("param", shown(peek(schedule.promise_param))),
    ]


def _refusal(id: str, reply: Rejection) -> StoreError:
    if reply.status == Status.NOT_FOUND:
        return NotFound(f"There is no schedule {id}.")
    return Refused(f"Refused: {reply.message}.")
