"""Values of no declared type: plain JSON and nothing else, so that they come back as they went.

What JSON would quietly turn into something else (a tuple into a list, an int key into text) is refused.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Any, Final

import orjson

from resonate.adapters.codecs.plan import NULL, SIXTY_FOUR_BITS, Misfit, Plan, class_of, is_list, is_object, kind
from resonate.adapters.codecs.text import SENTINELS, STRICT, sentinel

_SCALARS: Final = frozenset({NULL, bool, int, str})
_KINDS: Final = frozenset({NULL, bool, int, float, str, list, dict})
_DICT: Final[frozenset[type]] = frozenset({dict})
_LIST: Final[frozenset[type]] = frozenset({list})
_FLOAT: Final[frozenset[type]] = frozenset({float})
_values: Final = dict[str, Any].values
_ANNOTATE: Final = "Annotate the function: a declared type says how to write it and how to read it back."


def untyped_plan(*, careful: bool) -> Plan:
    """Return the plan of `Any`.

    The quick one leaves to its caller the texts that look like sentinels, and whole numbers beyond 64 bits; the
    caller sees both in the written text, and comes back with the careful one.
    """
    return Plan(
        name="Any",
        dump=_dump if careful else _dump_quickly,
        load=_revive if careful else _as_it_is,
        writes=_KINDS,
        untyped=True,
        plain=None if careful else _is_plain,
    )


def _as_it_is(value: Any) -> Any:
    return value


def _dump_quickly(value: Any) -> Any:
    return value if type(value) in _SCALARS or _is_plain(value) else _dump(value)


def _is_plain(value: Any) -> bool:
    try:
        orjson.dumps(value, None, STRICT)
    except TypeError:
        return False
    return is_plain_if_written(value)


def is_plain_if_written(value: Any) -> bool:
    """Whether a value that orjson writes is JSON as it stands, to the last part. It goes down level by level.

    That orjson writes it says three things: it has an end, its depth is bounded, and all keys of its dicts are text.
    """
    level: list[Any] = [value]
    while True:
        kinds: set[type] = set(map(type, level))
        if kinds <= _SCALARS:
            return True
        if not kinds <= _KINDS:
            return False
        if kinds <= _DICT:
            level = [*chain.from_iterable(map(_values, level))]
        elif kinds <= _LIST:
            level = [*chain.from_iterable(level)]
        elif kinds <= _FLOAT:
            return all(map(math.isfinite, level))
        else:
            below: list[Any] = []
            for part in level:
                cls = type(part)  # pyright: ignore[reportUnknownVariableType] - `class_of` is a call for each part
                if cls is list:
                    below += part
                elif cls is dict:
                    below += part.values()
                elif cls is float and not math.isfinite(part):
                    return False
            level = below


def _dump(value: Any) -> Any:
    """Check every part, with the path to what is wrong; write the numbers that JSON lacks as sentinels."""
    cls = class_of(value)
    if cls is str:
        if value in SENTINELS:
            raise Misfit(f"the text {value!r} would be read back as a number", hint=_ANNOTATE)
    elif cls is float:
        return value if math.isfinite(value) else sentinel(value)
    elif cls is int:
        if value not in SIXTY_FOUR_BITS:
            raise Misfit("an int beyond 64 bits would lose digits", hint="Declare it as int.")
    elif cls is list:
        return _dump_list(value)
    elif cls is dict:
        return _dump_dict(value)
    elif cls not in _SCALARS:
        raise Misfit(f"{kind(value)} where no type is declared, and it is not plain JSON", hint=_ANNOTATE)
    return value


def _dump_list(value: list[Any]) -> list[Any]:
    out: list[Any] = []
    try:
        for item in value:
            out.append(_dump(item))  # noqa: PERF401 - its length is the index of the item that fails
    except Misfit as misfit:
        raise misfit.inside(f"[{len(out)}]") from None
    return out


def _dump_dict(value: dict[Any, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, item in value.items():
        if type(key) is not str:
            raise Misfit(f"a key of type {kind(key)} where no type is declared", hint=_ANNOTATE)
        try:
            out[key] = _dump(item)
        except Misfit as misfit:
            raise misfit.inside(f".{key}") from None
    return out


def _revive(value: Any) -> Any:
    """Read sentinels, wherever they stand, as the numbers they stand for."""
    if isinstance(value, str):
        return SENTINELS.get(value, value)
    if is_list(value):
        return [_revive(item) for item in value]
    if is_object(value):
        return {key: _revive(item) for key, item in value.items()}
    return value
