"""The documentation's pages and their fenced blocks."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})[ \t]*(?P<info>[^`\n]*)$")
NO_RUN = re.compile(r'no-run(?:="(?P<reason>[^"]*)")?')


def pages() -> list[Path]:
    """Return README.md and every page of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@frozen
class Block:
    """A fenced block: `line` is the number of its first line of text, counted from 1."""

    path: Path
    line: int
    info: str
    text: str

    @property
    def language(self) -> str:
        """The first word of the info string."""
        return self.info.split(maxsplit=1)[0] if self.info else ""

    @property
    def no_run(self) -> bool:
        """Whether the info string asks not to run the block."""
        return NO_RUN.search(self.info) is not None

    @property
    def no_run_reason(self) -> str:
        """Why the block is not run; empty if no reason is given."""
        match = NO_RUN.search(self.info)
        return ((match and match["reason"]) or "").strip()

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def blocks(path: Path, text: str | None = None) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    lines = (path.read_text() if text is None else text).splitlines()
    opened: tuple[int, re.Match[str]] | None = None
    for number, line in enumerate(lines, 1):
        match = FENCE.match(line)
        if opened is None:
            if match:
                opened = (number, match)
        elif match and not match["info"].strip() and len(match["ticks"]) >= len(opened[1]["ticks"]):
            body = textwrap.dedent("\n".join(lines[opened[0] : number - 1]))
            yield Block(path, opened[0] + 1, opened[1]["info"].strip(), body)
            opened = None
