"""Cron expressions, as the deployed server reads them.

Law 1: all instants are UTC.
Law 2: five fields are minute, hour, day of month, month, day of week; six put seconds first, seven put the year last.
Law 3: days of the week count from 1 = Sunday to 7 = Saturday; 0 is refused. Names (MON-FRI, JAN) and words (@daily)
mean the same everywhere.
Law 4: day of month and day of week must both match.
Law 5: an expression that never matches is refused.

The grammar is read here and handed to croniter as plain lists of numbers, so that no other reading of it can creep in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from attrs import frozen

_DAYS: Final = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_MONTHS: Final = (
    "JANUARY",
    "FEBRUARY",
    "MARCH",
    "APRIL",
    "MAY",
    "JUNE",
    "JULY",
    "AUGUST",
    "SEPTEMBER",
    "OCTOBER",
    "NOVEMBER",
    "DECEMBER",
)


def _named(names: tuple[str, ...]) -> dict[str, int]:
    """Return the numbers of names and of their three-letter forms, counted from 1."""
    return {form: number for number, name in enumerate(names, 1) for form in (name, name[:3])}


@frozen
class _Field:
    """One field of an expression: its name, its least and greatest number, its names, whether `?` stands for all."""

    name: str
    least: int
    most: int
    names: dict[str, int]
    question: bool = False


_SECOND: Final = _Field("second", 0, 59, {})
_DAY_OF_WEEK: Final = _Field("day of week", 1, 7, _named(_DAYS), question=True)
_YEAR: Final = _Field("year", 1970, 2099, {})
_FIELDS: Final = (
    _SECOND,
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}, question=True),
    _Field("month", 1, 12, _named(_MONTHS)),
    _DAY_OF_WEEK,
    _YEAR,
)

_WORDS: Final = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * SUN",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}

_ITEM: Final = re.compile(
    r"(?P<all>[*?])(/(?P<all_step>[0-9]{1,4}))?|(?P<low>\w+)(-(?P<high>\w+))?(/(?P<step>[0-9]{1,4}))?", re.ASCII
)
_MAX_LENGTH: Final = 1_024
_FEWEST, _MOST = 5, 7
_YEARS_AHEAD: Final = _YEAR.most - _YEAR.least


@frozen
class Cron:
    """A parsed expression; `numbers` is its form of seven lists of numbers, days of the week from 0 = Sunday."""

    numbers: str

    def next_after(self, ms: int) -> int | None:
        """Return the first instant (epoch ms) after `ms`, None if there is none."""
        return next(self.instants_after(ms), None)

    def instants_after(self, ms: int) -> Iterator[int]:
        """Yield the instants after `ms` in order. Cheaper than asking for each by itself."""
        # Loaded here, since it takes longer than the rest of the library, and few stores have a schedule.
        from croniter import (  # type: ignore[import-untyped]  # noqa: PLC0415 - as said  # croniter ships no types
            CroniterBadDateError,
            croniter,
        )

        # Instants are whole seconds, so the first one after a fraction is the first one after its second.
        times = croniter(
            self.numbers,
            ms // 1_000,
            day_or=False,
            second_at_beginning=True,
            max_years_between_matches=_YEARS_AHEAD,
        )
        while True:
            try:
                instant = int(times.get_next(float)) * 1_000
            except CroniterBadDateError:
                return
            yield instant


@lru_cache(maxsize=1_024)
def parse(expression: str) -> Cron:
    """Read an expression; raise `ValueError` with a sentence if it cannot be read or never matches."""
    if len(expression) > _MAX_LENGTH:
        raise ValueError("the cron expression is too long")
    text = expression.strip().upper()
    parts = _WORDS.get(text, text).split()
    if not _FEWEST <= len(parts) <= _MOST:
        raise ValueError("a cron expression has 5, 6 or 7 fields, or is a word like @daily")
    if len(parts) == _FEWEST:
        parts.insert(0, "0")
    if len(parts) < _MOST:
        parts.append("*")
    cron = Cron(" ".join(_read(part, field) for part, field in zip(parts, _FIELDS, strict=True)))
    if cron.next_after(0) is None:
        raise ValueError("the cron expression never matches")
    return cron


def _read(text: str, field: _Field) -> str:
    numbers = {number for item in text.split(",") for number in _expand(item, field)}
    if len(numbers) == field.most - field.least + 1:
        return "*"
    shift = 1 if field is _DAY_OF_WEEK else 0
    return ",".join(str(number - shift) for number in sorted(numbers))


def _expand(item: str, field: _Field) -> range:
    match = _ITEM.fullmatch(item)
    if match is None or (match["all"] == "?" and not field.question):
        raise _unreadable(item, field)
    step = int(match["all_step"] or match["step"] or 1)
    if step == 0:
        raise ValueError(f"the step of the {field.name} field of the cron expression is 0")
    if match["all"]:
        return range(field.least, field.most + 1, step)
    low = _number(match["low"], field)
    last = field.most if match["step"] else low
    high = _number(match["high"], field) if match["high"] else last
    if low > high:
        raise _unreadable(item, field)
    return range(low, high + 1, step)


def _number(text: str, field: _Field) -> int:
    number = field.names.get(text)
    if number is None and text.isdigit():
        number = int(text)
    if number is None or not field.least <= number <= field.most:
        raise _unreadable(text, field)
    return number


def _unreadable(text: str, field: _Field) -> ValueError:
    return ValueError(f"{text} is no {field.name} of a cron expression ({field.least} to {field.most})")
