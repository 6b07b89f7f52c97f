"""`invoke`: start an execution on a worker group, from outside."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated

import orjson
import typer

from resonate.cli.door import Door, Exit, command
from resonate.cli.output import safe
from resonate.cli.texts import json_or_text, pairs, span_ms
from resonate.client import Resonate
from resonate.core.insight import words
from resonate.core.payload import brief
from resonate.errors import NotFound, StoreError, UsageError

app = typer.Typer()


@command(app)
async def invoke(
    door: Door,
    id: Annotated[str, typer.Argument(help="The id of the execution: yours to choose.", show_default=False)],
    *,
    func: Annotated[str, typer.Option("--func", "-f", help="The function's registered name.", show_default=False)],
    arg: Annotated[
        list[str] | None, typer.Option("--arg", "-a", help="An argument: JSON, or else text; repeatable.")
    ] = None,
    kwarg: Annotated[
        list[str] | None, typer.Option("--kwarg", "-k", help="A named one, name=value; repeatable.")
    ] = None,
    group: Annotated[str, typer.Option("--group", "-g", help="The worker group that runs it.")] = "default",
    version: Annotated[
        int | None, typer.Option("--version", help="The function version; the latest if not said.")
    ] = None,
    timeout: Annotated[str | None, typer.Option("--timeout", help="How long it may take: 90s, 15m, 2h, 7d.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", "-t", help="A tag, name=value; repeatable.")] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the result, and print it.")] = False,
) -> None:
    """Start an execution. One that exists under this id is attached to, if it is the same call."""
    if not func:
        raise UsageError("--func is a function's registered name.")
    args = [json_or_text(each) for each in arg or ()]
    kwargs = {name: json_or_text(text) for name, text in pairs(kwarg, "A named argument").items()}
    limit = None if timeout is None else timedelta(milliseconds=span_ms(timeout))
    async with door.client() as client:
        chosen = client.options(target=group, version=version, timeout=limit, tags=pairs(tag, "A tag") or None)
        over = not wait and await _is_over(client, id)  # before: what begins now may be over in no time
        handle = await chosen.begin_rpc(id, func, *args, **kwargs)
        if not wait:
            if over:
                line = f"{id} is over, and is not run again: `{words.command('tree', id)}` says how it ended."
                _say(door, {"id": id, "group": group, "over": True}, line)
                return
            _say(door, {"id": id, "group": group}, f"{id} is offered to group {group}.")
            return
        if sys.stderr.isatty():
            why = words.command("why", id)
            door.out.note(f"Waiting for {id}. It goes on if you stop waiting; `{why}` says what it waits for.")
        try:
            result = await handle.result()
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - the function's own outcome
            told = brief(f"{type(error).__name__}: {error}")
            _say(door, {"id": id, "group": group, "error": told}, f"{id} failed with {told}")
            raise typer.Exit(Exit.REFUSED) from None
        _say(door, {"id": id, "group": group, "result": result}, orjson.dumps(result, default=repr).decode())


async def _is_over(client: Resonate, id: str) -> bool:
    try:
        return await client.get(id).done()
    except NotFound:
        return False


def _say(door: Door, document: dict[str, object], line: str) -> None:
    if door.out.json:
        door.out.document(document)
    else:
        door.out.line(safe(line))
