"""What happened in a run, line by line."""

from __future__ import annotations

import logging
from collections.abc import Callable

from attrs import frozen

NAME = 12


class Listener(logging.Handler):
    """Hands on what is logged."""

    def __init__(self, tell: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on a record."""
        self._tell(record)


@frozen
class Line:
    """One thing that happened.

    Args:
        after_ms: how much virtual time had gone by.
        process: where it happened; empty for what the run itself is found to do.
        text: what.
        detail: whether it is of interest only to who knows the engine.
    """

    after_ms: int
    process: str
    text: str
    detail: bool = False

    def __str__(self) -> str:
        """Write it with its instant in front."""
        return f"{instant(self.after_ms)}  {self.process:<{NAME}} {self.text}"


def instant(ms: int) -> str:
    """Write how much time has gone by: `1d 02:03:04.005`."""
    seconds, rest = divmod(ms, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}d ' if days else ''}{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"
