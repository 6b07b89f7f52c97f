"""What is read from a command line, and how names are written on a screen."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import orjson
import typer

from resonate.errors import UsageError

Id = Annotated[str, typer.Argument(help="The id of an execution or a promise.", show_default=False)]

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)?")
_LONGEST: Final = 10**15


def span_ms(text: str) -> int:
    """Read a length of time: `90s`, `15m`, `2h`, `7d`; a number alone is seconds. Raise `UsageError`."""
    match = _SPAN.fullmatch(text.strip().lower())
    unit = _UNITS.get(match[2] or "s") if match is not None else None
    if match is None or unit is None or float(match[1]) * unit > _LONGEST:
        raise UsageError(f"{text!r} is no length of time.", hint="Write 90s, 15m, 2h or 7d.")
    return round(float(match[1]) * unit)


_PYTHON: Final = {"True": "true", "False": "false", "None": "null"}


def json_or_text(text: str) -> Any:
    """Read an argument: as JSON if it is JSON, else as the text that it is.

    Raise `UsageError` for what was surely meant as JSON.
    """
    try:
        return orjson.loads(text)
    except ValueError as error:
        if text in _PYTHON:
            raise UsageError(
                f"{text} is how Python writes it.", hint=f"JSON is {_PYTHON[text]}; the text is '\"{text}\"'."
            ) from None
        if text.startswith(("{", "[", '"')):
            raise UsageError(f"{text:.80} is no JSON: {error}.", hint="A text in quotes is: '\"...\"'.") from None
        return text


def pairs(texts: list[str] | None, what: str) -> dict[str, str]:
    """Read `name=text` pairs. Raise `UsageError`."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, sign, rest = text.partition("=")
        if not name or not sign:
            raise UsageError(f"{what} is name=value, not {text!r}.")
        found[name] = rest
    return found


def named(function: str | None, version: int | None) -> str:
    """Return a function's name with its version, if it is not the first."""
    if function is None:
        return ""
    return function if version in {None, 1} else f"{function}@{version}"
