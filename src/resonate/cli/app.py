"""The command's parts put together; a new group of commands is added here."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import typer

from resonate.cli import code, invoke, look, promises, schedules, tasks
from resonate.cli.door import common_options

app = typer.Typer(
    name="resonate",
    help="Look at durable executions, and act on them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.callback()(common_options)
for _group in (look.app, promises.app, tasks.app, invoke.app, schedules.app, code.app):
    app.add_typer(_group)


def run() -> None:
    """Run the command that the command line names, and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # text that the locale can't write is written out
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="resonate")
