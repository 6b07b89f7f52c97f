"""The order in which an execution hears of results, recorded so that a replay hears of them in the same order.

Law 1: a delivery is *free* when it was the only one possible, and is then not recorded: a replay has no choice either.
Law 2: every durable write of a workflow's code carries the deliveries that preceded it and are not known to be
    recorded yet. So whatever a write depended on is recorded with it, in one atomic step.
Law 3: a replay follows the record as far as it goes. Past its end, results are heard of in (instant, id) order.

Theory of operation. Two results may settle in one millisecond, or be learned of late, so no order computed from the
stored results alone can tell which of them the first run saw first; and the code may have acted on it
(`asyncio.wait(..., FIRST_COMPLETED)`, a queue, a race). The record is a numbered list of tokens (an id's suffix below
its execution; with a trailing `!` for "the promise is durable", without for "its result"). A header carries a stretch
of it: the number of its first token, then the tokens, separated by blanks; consecutive siblings `a.3 a.4 a.5` are
written `a.3-5`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

HEADER: Final = "resonate:delivered"


def pack(start: int, tokens: Iterable[str]) -> str:
    """Write a stretch of the record that starts with token number `start`."""
    parts: list[str] = []
    stem, first, last = "", -1, -1
    for token in tokens:
        new_stem, number = _split(token)
        if number == last + 1 and new_stem == stem and first >= 0 and number >= 0:
            last = number
            parts[-1] = f"{stem}{first}-{last}"
            continue
        stem, first, last = new_stem, number, number
        parts.append(token)
    return " ".join([str(start), *parts])


def unpack(text: str) -> tuple[int, list[str]]:
    """Read what `pack` wrote. Raise ValueError if it was not written by it."""
    head, *parts = text.split(" ")
    tokens: list[str] = []
    for part in parts:
        stem, _, last = part.partition("-")
        if not last:
            tokens.append(part)
            continue
        prefix, first = _split(stem)
        if first < 0 or int(last) - first > 1_000_000:
            msg = f"a range that can't be: {part}"
            raise ValueError(msg)
        tokens.extend(f"{prefix}{number}" for number in range(first, int(last) + 1))
    return int(head), tokens


def _split(token: str) -> tuple[str, int]:
    """Split `a.12` in `a.` and 12; the number is -1 where there is none."""
    dot = token.rfind(".") + 1
    digits = token[dot:]
    return (token[:dot], int(digits)) if digits.isdecimal() else (token, -1)


class Deliveries:
    """The record of one execution's deliveries: what earlier attempts recorded, then what this one adds."""

    def __init__(self) -> None:
        self._record: list[str] = []
        self._stretches: dict[int, str] = {}
        self._next = 0
        self._durable = 0
        self._packed: tuple[int, int, str] = (0, 0, "")

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take in the stretch that a stored write carries, if any. Order of learning does not matter."""
        text = headers.get(HEADER)
        if text is None:
            return
        try:
            start, tokens = unpack(text)
        except ValueError:
            return  # not ours to judge: another writer's header
        if start + len(tokens) <= len(self._record):
            return
        for number, token in enumerate(tokens, start):
            if number >= len(self._record):
                self._stretches[number] = token
        while (token_ := self._stretches.pop(len(self._record), None)) is not None:
            self._record.append(token_)
        self._durable = len(self._record)

    def expected(self) -> str | None:
        """Return the token that the record says is next, None past its end."""
        return self._record[self._next] if self._next < len(self._record) else None

    def skip(self) -> None:
        """Pass over the expected token: what it names lies inside something that has settled as a whole."""
        self._next += 1

    def delivered(self, token: str, *, free: bool) -> None:
        """Take note that `token` was delivered; `free` if nothing else could have been."""
        if self._next < len(self._record):
            if self._record[self._next] == token:
                self._next += 1
            return
        if not free:
            self._record.append(token)
            self._next += 1

    def header(self) -> str | None:
        """Return the stretch that a write must carry now, None if all is recorded."""
        start, end = self._durable, len(self._record)
        if start >= end:
            return None
        if self._packed[:2] != (start, end):  # a fan-out asks for the same stretch many times
            self._packed = (start, end, pack(start, self._record[start:end]))
        return self._packed[2]

    @property
    def mark(self) -> int:
        """How long the record is now: what a write sent now carries up to."""
        return len(self._record)

    @property
    def durable(self) -> int:
        """How much of the record is known to be stored."""
        return self._durable

    @property
    def pending(self) -> int:
        """How many deliveries no acknowledged write carries yet."""
        return len(self._record) - self._durable

    def recorded(self, mark: int) -> None:
        """Take note that a write that was sent at `mark` is acknowledged."""
        self._durable = max(self._durable, mark)
