"""How answers are printed: for a person at a terminal, for a pipe, for a program.

Law 1: a pipe gets no colours, no wrapping and nothing cut off; a terminal gets nothing cut off either.
Law 2: text from the store can't command a terminal: control characters are shown, not sent.
Law 3: with `--json` stdout is one JSON document, and errors are one on stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from attrs import frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resonate.core.insight.tree import Status
from resonate.errors import ResonateError

_WIDE = 100_000
"""Columns of what is no terminal: nothing is ever that long."""

COLOURS = {
    Status.HALTED: "bold red",
    Status.REJECTED: "red",
    Status.TIMED_OUT: "red",
    Status.CANCELED: "magenta",
    Status.QUEUED: "yellow",
    Status.RUNNING: "cyan",
    Status.WAITING: "blue",
    Status.PENDING: "blue",
    Status.RESOLVED: "green",
}


def _escaped(char: str) -> str:
    """Return a character as JSON's own escape."""
    return json.dumps(char)[1:-1]


def safe(text: str) -> str:
    """Return a text with its control characters written out."""
    return "".join(char if char.isprintable() else _written_out(char) for char in text)


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode()


@frozen
class Output:
    """Where a command's answer goes."""

    json: bool = False

    def document(self, value: Any) -> None:
        """Print a JSON document."""
        text = orjson.dumps(value, default=repr, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
        if sys.stdout.isatty():  # JSON writes out the first 32 control characters only
            text = "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)
        sys.stdout.write(text + "\n")

    def line(self, text: str, style: str = "") -> None:
        """Print a line."""
        self._print(Text(safe(text), style=style))

    def text(self, text: Text) -> None:
        """Print a line with styles of its own; its parts must be `safe`."""
        self._print(text)

    def note(self, text: str) -> None:
        """Print a remark that is not part of the answer."""
        sys.stderr.write(safe(text) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
        """Print a table."""
        table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=not _is_terminal())
        for row in rows:
            table.add_row(*(Text(safe(cell)) if isinstance(cell, str) else cell for cell in row))
        self._print(table)

    def error(self, error: ResonateError) -> None:
        """Print what went wrong."""
        if self.json:
            told = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
            sys.stderr.write(orjson.dumps({"error": told}).decode() + "\n")
        else:
            sys.stderr.write(f"resonate: {safe(str(error))}\n")

    def _print(self, what: Any) -> None:
        console = _console()
        if console.is_terminal:
            console.print(what)
            return
        with console.capture() as captured:
            console.print(what, soft_wrap=isinstance(what, Text))
        sys.stdout.write("\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n")


def coloured(status: Status) -> Text:
    """Return a status in its colour."""
    return Text(status.value, style=COLOURS[status])


def can_draw() -> bool:
    """Say whether lines can be drawn with what stdout is written in."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _is_terminal() -> bool:
    return _console().is_terminal


def _console() -> Console:
    # Made for each use: a test, or a caller, may have put another stdout in place.
    terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        width=None if terminal else _WIDE,
        markup=False,
        highlight=False,
        emoji=False,
        no_color=None if terminal else True,
        force_terminal=None if terminal else False,
    )
