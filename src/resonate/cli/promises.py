"""`promises get|search`, and `resolve`, `reject`, `cancel`: promises as such."""

from __future__ import annotations

from typing import Annotated

import typer

from resonate.adapters.codecs.json import JsonCodec
from resonate.cli.door import Door, Refused, Yes, command
from resonate.cli.output import coloured
from resonate.cli.searching import After, Limit, Listed, Tags, search
from resonate.cli.shapes import promise_shape
from resonate.cli.texts import Id, json_or_text, pairs
from resonate.core.insight.payloads import failure
from resonate.core.insight.tree import STATUS_OF_PROMISE, Kind, kind_of
from resonate.core.insight.words import instant, span
from resonate.core.payload import peek, shown
from resonate.core.protocol.records import NO_VALUE, PromiseRecord, PromiseState, Tag, Value
from resonate.core.protocol.requests import PromiseGet, PromiseSearch, PromiseSettle
from resonate.errors import ApplicationError, UsageError
from resonate.ports.store import Store
from resonate.runtime.handle import promise_of

app = typer.Typer()
group = typer.Typer(help="Promises as such.", no_args_is_help=True)
app.add_typer(group, name="promises")

_LISTED = Listed(
    key="promises",
    shape=promise_shape,
    columns=("STATE", "ID", "KIND", "AGE"),
    row=lambda one, now: (
        coloured(STATUS_OF_PROMISE[one.state]),
        one.id,
        kind_of(one).value,
        span((one.settled_at or now) - one.created_at),
    ),
)


@command(group, "get")
async def get(door: Door, id: Id) -> None:
    """Show a promise."""
    async with door.reading() as (store, clock):
        record = await _get(store, id)
        now = clock.now()
    if door.out.json:
        door.out.document(promise_shape(record))
        return
    for name, text in _facts(record, now):
        door.out.line(f"{name:<10} {text}")


@command(group, "search")
async def search_promises(
    door: Door,
    state: Annotated[str | None, typer.Option("--state", "-s", help="Only in this state.")] = None,
    tag: Tags = None,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """List promises in the order of their ids."""
    wanted = None if state is None else _state(state)
    await search(door, PromiseSearch(state=wanted, tags=pairs(tag, "A tag"), limit=limit, cursor=after), _LISTED)


@command(app)
async def resolve(
    door: Door,
    id: Id,
    value: Annotated[str | None, typer.Argument(help="The value: JSON, or else text.", show_default=False)] = None,
    *,
    yes: Yes = False,
) -> None:
    """Settle a promise with a value. Asks before it ends an execution."""
    encoded = NO_VALUE if value is None else JsonCodec().encode(json_or_text(value))
    await _settle(door, id, PromiseState.RESOLVED, encoded, yes=yes)


@command(app)
async def reject(
    door: Door,
    id: Id,
    message: Annotated[str, typer.Argument(help="What went wrong.")] = "rejected by an operator",
    *,
    yes: Yes = False,
) -> None:
    """Settle a promise with a failure. Asks before it ends an execution."""
    await _settle(door, id, PromiseState.REJECTED, JsonCodec().encode_error(ApplicationError(message)), yes=yes)


@command(app)
async def cancel(door: Door, id: Id, *, yes: Yes = False) -> None:
    """Cancel an execution or a promise. An execution stops at its next durable step, or before a step's next try."""
    door.confirm(f"Cancel {id}?", yes=yes)
    await _settle(door, id, PromiseState.REJECTED_CANCELED, NO_VALUE, yes=True)


async def _settle(door: Door, id: str, state: PromiseState, value: Value, *, yes: bool) -> None:
    async with door.writing() as (store, clock):
        before = await _get(store, id)
        if Tag.TARGET in before.tags and before.state is PromiseState.PENDING:
            door.confirm(f"{id} is an execution: end it, whatever it is doing?", yes=yes)
        asked = clock.now()
        record = promise_of(await store.send(PromiseSettle(id=id, state=state, value=value)), id)
    if before.state is not PromiseState.PENDING or record.state is not state:
        at = record.settled_at or asked
        raise Refused(f"{id} was {_word(record.state)} already, at {instant(at)}.", hint="It stays as it is.")
    if door.out.json:
        door.out.document(promise_shape(record))
    else:
        given = f" with {shown(peek(record.value))}" if state is PromiseState.RESOLVED else ""
        door.out.line(f"{id} is {_word(record.state)}{given}.")
        if kind_of(record) is Kind.CALL:
            door.out.note("A process that runs it now hears of that once the try under way has ended.")


def _word(state: PromiseState) -> str:
    return STATUS_OF_PROMISE[state].value


async def _get(store: Store, id: str) -> PromiseRecord:
    return promise_of(await store.send(PromiseGet(id)), id)


def _facts(record: PromiseRecord, now: int) -> list[tuple[str, str]]:
    facts = [
        ("id", record.id),
        ("kind", kind_of(record).value),
        ("state", record.state.value),
        ("created", f"{instant(record.created_at)} ({span(now - record.created_at)} ago)"),
    ]
    if record.settled_at is None:
        facts.append(("deadline", f"{instant(record.timeout_at)} (in {span(record.timeout_at - now)})"))
    else:
        facts.append(("settled", f"{instant(record.settled_at)} ({span(now - record.settled_at)} ago)"))
        facts.append(("deadline", instant(record.timeout_at)))
    facts += [("tag", f"{name}={text}") for name, text in sorted(record.tags.items())]
    facts += [("header", f"{name}={text}") for name, text in sorted(record.param.headers.items())]
    facts.append(("param", shown(peek(record.param))))
    if record.state is PromiseState.REJECTED:
        facts.append(("error", failure(record.value)))
    elif record.settled_at is not None:
        facts.append(("value", shown(peek(record.value))))
    return facts


def _state(name: str) -> PromiseState:
    try:
        return PromiseState(name)
    except ValueError:
        known = ", ".join(PromiseState)
        raise UsageError(f"{name!r} is no state of a promise.", hint=f"They are {known}.") from None
