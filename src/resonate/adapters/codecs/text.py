"""JSON values to text and back: orjson, and the standard library for whole numbers beyond 64 bits.

JSON has no infinity and no NaN; they are written as the text sentinels that the other SDKs read.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

import orjson

from resonate.adapters.codecs.plan import Misfit, is_list, is_object

SENTINELS: Final[dict[str, float]] = {"__INF__": math.inf, "__NEG_INF__": -math.inf, "__NAN__": math.nan}
SENTINEL_END: Final = (
    b'__"'  # what every sentinel's text ends with; find it by `find`: `in` tries bytes as a number first
)

STRICT: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def sentinel(number: float) -> str:
    """Return the text that stands for a number that JSON lacks."""
    if math.isnan(number):
        return "__NAN__"
    return "__INF__" if number > 0 else "__NEG_INF__"


def write_quickly(value: Any) -> bytes | None:
    """Write a JSON value; None if it may hold what the quick way overlooks: a long int, or text like a sentinel."""
    try:
        raw = orjson.dumps(value, None, STRICT)
    except TypeError:
        return None
    return raw if raw.find(SENTINEL_END) < 0 else None


def write(value: Any) -> bytes:
    """Write a JSON value, as compact text. Raise `TypeError` or `Misfit` for what JSON can't hold."""
    try:
        return orjson.dumps(value, None, STRICT)
    except TypeError as error:
        if "64-bit" not in str(error):
            _find_surrogate(value)
            raise
    _find_surrogate(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def read(raw: bytes) -> Any:
    """Read JSON text. Whole numbers beyond 64 bits come as floats, or as they are beyond those. Raise `ValueError`."""
    try:
        return orjson.loads(raw)
    except ValueError as error:
        if "infinity" not in str(error):
            raise
    try:
        return read_big(raw)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_big(raw: bytes) -> Any:
    """Read JSON text with whole numbers of any size, slowly. Raise `ValueError`."""
    return json.loads(raw, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _find_surrogate(value: Any) -> None:
    """Raise a `Misfit` with the path to a text that has no UTF-8 form, if there is one."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misfit("text with a lone surrogate has no UTF-8 form", hint="Write it as bytes.") from None
    elif is_list(value):
        for index, item in enumerate(value):
            _inside(f"[{index}]", item)
    elif is_object(value):
        for key, item in value.items():
            _find_surrogate(key)
            _inside(f".{key}", item)


def _inside(step: str, item: Any) -> None:
    try:
        _find_surrogate(item)
    except Misfit as misfit:
        raise misfit.inside(step) from None
