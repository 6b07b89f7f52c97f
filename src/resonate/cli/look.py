"""`ps`, `tree` and `why`: where executions are and what they wait for. They only read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from resonate.cli.door import Door, Exit, command
from resonate.cli.output import COLOURS, can_draw, coloured, safe
from resonate.cli.picture import page
from resonate.cli.searching import After, tell_cursor
from resonate.cli.shapes import listing_shape, tree_shape, why_shape
from resonate.cli.texts import Id, named, span_ms
from resonate.core.insight.causes import CauseKind
from resonate.core.insight.tree import Kind, Node, Status, Tree
from resonate.core.insight.words import count, instant, span
from resonate.errors import UsageError
from resonate.runtime import insight
from resonate.runtime.listing import LIVE, OVER, Wanted, executions

app = typer.Typer()

LINES = ("│  ", "├─ ", "└─ ")
PLAIN_LINES = ("|  ", "|- ", "`- ")

_STATES = {status.name.lower().replace("_", ""): status for status in (*LIVE, *OVER)}


@command(app)
async def ps(
    door: Door,
    state: Annotated[
        list[str] | None, typer.Option("--state", "-s", help=f"Only these; repeatable: {', '.join(_STATES)}.")
    ] = None,
    *,
    all: Annotated[bool, typer.Option("--all", "-a", help="Also what is over.")] = False,
    calls: Annotated[bool, typer.Option("--calls", help="Also executions that others called.")] = False,
    function: Annotated[str | None, typer.Option("--function", "-f", help="Only of this function.")] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Only older than this: 90s, 15m, 2h, 7d.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="So many at most.")] = 50,
    after: After = None,
) -> None:
    """List executions by state. Without --state or --all, those that are not over."""
    statuses = _statuses(state) if state else (*LIVE, *OVER) if all else LIVE
    age = None if older_than is None else span_ms(older_than)
    async with door.reading() as (store, clock):
        now = clock.now()
        wanted = Wanted(
            statuses=statuses,
            roots=not calls,
            function=function,
            created_before=None if age is None else now - age,
        )
        listing = await executions(store, wanted, limit=limit, after=after)
    if door.out.json:
        door.out.document(listing_shape(listing))
        return
    over = ("TOOK",) if any(status in OVER for status in statuses) else ()
    door.out.table(
        ("STATE", "ID", "FUNCTION", "GROUP", "AGE", *over, "TAKEN", "HELD BY"),
        (
            (
                coloured(one.status),
                one.id,
                named(one.function, one.version),
                one.group,
                span(now - one.created_at),
                *("" if one.settled_at is None else span(one.settled_at - one.created_at) for _ in over),
                "" if one.attempts is None else str(one.attempts),
                one.pid or "",
            )
            for one in listing.executions
        ),
    )
    tell_cursor(door, listing.cursor)


def _statuses(names: list[str]) -> tuple[Status, ...]:
    unknown = [name for name in names if _plain(name) not in _STATES]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no state of an execution.", hint=f"They are {', '.join(_STATES)}.")
    asked = {_STATES[_plain(name)] for name in names}
    return tuple(status for status in (*LIVE, *OVER) if status in asked)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


# ---------------------------------------------------------------- tree


@command(app)
async def tree(
    door: Door,
    id: Id,
    *,
    html: Annotated[bool, typer.Option("--html", help="Draw it as one HTML file, on stdout or into --output.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="Where the HTML file goes.")
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="Also promises that the engine made for itself.")] = False,
) -> None:
    """Show what an execution asked for, and how that stands. The failing step shows its error."""
    if door.out.json and (html or output is not None):
        raise UsageError(
            "A tree is drawn as HTML, or printed as JSON.", hint="Leave --json out, or --html and --output."
        )
    async with door.reading() as (store, clock):
        found, reason = await insight.tree_and_why(store, id, now=clock.now(), knows=store)
    if html or output is not None:
        _draw(page(found, reason), output)
    elif door.out.json:
        door.out.document(tree_shape(found))
    else:
        _print_tree(door, found, own=own)


def _draw(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write("\n".join(map(safe, text.split("\n"))) if sys.stdout.isatty() else text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The file {output} can't be written: {error.strerror}.") from error


def _print_tree(door: Door, tree: Tree, *, own: bool) -> None:
    shown = [(depth, node) for depth, node in tree.nodes() if own or not node.own]
    lasts = _last_of_their_kind([depth for depth, _ in shown])
    bar, fork, corner = LINES if can_draw() else PLAIN_LINES
    open_at: dict[int, bool] = {}
    for (depth, node), last in zip(shown, lasts, strict=True):
        open_at[depth] = not last
        guides = "".join(bar if open_at.get(level) else "   " for level in range(1, depth))
        branch = "" if depth == 0 else corner if last else fork
        door.out.text(Text(f"{guides}{branch}", style="dim") + _about(node, tree.now))
    if not tree.whole:
        door.out.note("The server serves no searches, so there may be more than is shown.")


def _last_of_their_kind(depths: list[int]) -> list[bool]:
    """Return for each line whether no sibling follows it."""
    lasts: list[bool] = []
    coming: set[int] = set()
    for depth in reversed(depths):
        coming = {level for level in coming if level <= depth}
        lasts.append(depth not in coming)
        coming.add(depth)
    return lasts[::-1]


def _about(node: Node, now: int) -> Text:
    text = Text(safe(node.id), style="bold")
    text.append(f"  {safe(node.name)}  ", style="")
    text.append(node.status.value, style=COLOURS[node.status])
    text.append(f"  {_times(node, now)}", style="dim")
    if node.attempts is not None and (node.attempts > 1 or node.settled_at is None):
        text.append(f"  taken {count(node.attempts, 'time')}", style="dim")
    if node.pid is not None:
        lease = "" if node.expires_at is None else f", lease ends in {span(node.expires_at - now)}"
        text.append(f"  held by {safe(node.pid)}{lease}", style="dim")
    if node.kind is Kind.EXECUTION and node.settled_at is None:
        text.append(f"  in group {safe(node.group or '')}", style="dim")
    if node.error is not None:
        text.append(f"  {safe(node.error)}", style="red")
    return text


def _times(node: Node, now: int) -> str:
    if node.kind is Kind.TIMER and node.settled_at is None:
        return f"rings in {span(node.timeout_at - now)}, at {instant(node.timeout_at)}"
    return f"{'for ' if node.settled_at is None else ''}{span(node.duration_ms(now))}"


# ---------------------------------------------------------------- why


@command(app)
async def why(door: Door, id: Id) -> None:
    """Say what an execution waits for, down to the leaf. The first line names the cause."""
    async with door.reading() as (store, clock):
        found = await insight.why(store, id, now=clock.now(), knows=store)
    if door.out.json:
        door.out.document(why_shape(found))
    else:
        first, *rest = found.lines()
        door.out.line(first, "bold")
        for line in rest:
            door.out.line(line)
    if found.cause.kind is CauseKind.UNKNOWN:
        raise typer.Exit(Exit.REFUSED)
