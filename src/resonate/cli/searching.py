"""`search` of promises, tasks and schedules: a page of what the store has."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from attrs import frozen
from rich.text import Text

from resonate.cli.door import Door, Refused
from resonate.core.protocol.requests import Rejection, Request
from resonate.errors import UsageError

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000, help="So many at most.")]
After = Annotated[str | None, typer.Option("--after", help="Go on after a page: what it said at its end.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", "-t", help="Only with this tag, name=value; repeatable.")]


@frozen(kw_only=True)
class Listed:
    """How a page is shown.

    Args:
        key: what the reply, and the JSON document, call what they list.
        shape: makes JSON of one.
        columns: heads of the table.
        row: makes cells of one, at an instant.
    """

    key: str
    shape: Callable[[Any], dict[str, Any]]
    columns: Sequence[str]
    row: Callable[[Any, int], Sequence[str | Text]]


async def search(door: Door, request: Request[Any], listed: Listed) -> None:
    """Print the page that a request asks for, and how to go on. Raise `Refused` or `UsageError` for a refusal."""
    async with door.reading() as (store, clock):
        page = _found(await store.send(request))
        now = clock.now()
    members = getattr(page, listed.key)
    if door.out.json:
        door.out.document({listed.key: [listed.shape(one) for one in members], "cursor": page.cursor})
        return
    door.out.table(listed.columns, (listed.row(one, now) for one in members))
    tell_cursor(door, page.cursor)


def tell_cursor(door: Door, cursor: str | None) -> None:
    """Say how to go on after a page."""
    if cursor is not None:
        door.out.note(f"More: --after {shlex.quote(cursor)}")


def _found(reply: Any) -> Any:
    if isinstance(reply, Rejection):
        if reply.status == 501:
            raise UsageError("This server serves no searches.", hint="Ask for an id.")
        raise Refused(f"The search was refused: {reply.message}.")
    return reply
