"""`check`, `record` and `replay`: what workflows' code does, and whether it still does what was recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from attrs import asdict

from resonate.check import as_json, as_text, check_paths, settings_of
from resonate.cli.door import Door, Exit, Json, command, said
from resonate.cli.output import Output
from resonate.cli.texts import Id
from resonate.errors import DecodingError, UsageError
from resonate.runtime import recorder
from resonate.testing.loading import load
from resonate.testing.replaying import Verdict, replay

app = typer.Typer()


@app.command()
def check(
    context: typer.Context,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Files and folders; the current one if none is given.")
    ] = None,
    *,
    select: Annotated[list[str] | None, typer.Option("--select", help="Check these rules only: RSN101,RSN108.")] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", help="Leave these rules out.")] = None,
    json: Json = False,
) -> None:
    """Find in workflows what a replay would not do again alike. It reads source, and runs nothing."""
    json = said(context, "json", json)
    try:
        checked = check_paths(paths or ["."], settings_of(select=select or (), ignore=ignore or ()))
    except UsageError as error:
        Output(json=json).error(error)
        raise typer.Exit(Exit.USAGE) from error
    told = as_json(checked) if json else as_text(checked)
    if told:
        sys.stdout.write(told + "\n")
    for one in () if json else checked.unreadable:
        sys.stderr.write(f"resonate: {one}\n")
    raise typer.Exit(checked.exit_code)


@command(app)
async def record(
    door: Door,
    id: Id,
    *,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="A file, or a folder with a slash; stdout if it is not given.")
    ] = None,
) -> None:
    """Write an execution, history and all, as one JSON file. It can be replayed."""
    async with door.reading() as (store, clock):
        recording = await recorder.record(store, id, clock.now())
    if output is None:
        sys.stdout.write(recording.to_json())
        return
    try:
        written = recording.save(output)
    except OSError as error:
        raise UsageError(f"{output} can't be written: {error.strerror or error}.") from error
    door.out.note(f"Wrote {written}.")


@command(app, "replay")
async def replay_files(
    door: Door,
    files: Annotated[list[Path], typer.Argument(help="Recordings, or folders of them.", show_default=False)],
    *,
    functions: Annotated[
        str, typer.Option("--app", help="module:name of the client that the functions are registered on, or a module.")
    ],
    pdb: Annotated[bool, typer.Option("--pdb", help="Stop in the debugger at the call that differs.")] = False,
) -> None:
    """Run recorded executions through today's code, offline. Shows the first thing that it does otherwise."""
    found = load(functions, "--app", or_module=True)
    verdicts: list[Verdict] = []
    for file in _recordings(files):
        try:
            verdicts.append(replay(file, found, debug=pdb))
        except (OSError, DecodingError) as error:
            raise UsageError(str(error)) from error
        if not door.out.json:
            for line in str(verdicts[-1]).splitlines():
                door.out.line(line)
    if door.out.json:
        door.out.document([asdict(one) for one in verdicts])
    if not all(one.agrees for one in verdicts):
        raise typer.Exit(Exit.REFUSED)


def _recordings(paths: list[Path]) -> list[Path]:
    files = [file for path in paths for file in (sorted(path.rglob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise UsageError(f"There are no recordings in {', '.join(map(str, paths))}.")
    return files
