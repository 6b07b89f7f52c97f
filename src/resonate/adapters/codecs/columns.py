"""Many instances of one class at once: field by field, so that the loops run in C.

Law 1: what comes out, and the first error by row and then by field, is that of one instance after the other.
Law 2: nothing is converted twice, whatever fails: else deeply nested data that does not fit would take for ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from operator import attrgetter, itemgetter
from typing import Any, Final

from resonate.adapters.codecs.plan import Convert, Misfit, Plan

FEWEST: Final = 6
"""For fewer instances one after the other is as quick."""

_LIST: Final[frozenset[type]] = frozenset({list})


class Columns:
    """The fields of a class whose constructor only stores its arguments.

    Args:
        name: of the class, in messages.
        names: of the fields, in JSON and on the instance.
        plans: of the fields.
        make: makes an instance of its fields, given by position.
    """

    def __init__(self, name: str, names: Sequence[str], plans: Sequence[Plan], make: Callable[..., Any]) -> None:
        self._name = name
        self._names = tuple(names)
        self._plans = tuple(plans)
        self._make = make
        self._of_instance = [attrgetter(name) for name in names]
        self._of_object = [itemgetter(name) for name in names]

    def dump(self, values: Sequence[Any]) -> list[dict[str, Any]] | None:
        """Return instances of exactly this class as JSON; None if one lacks a field."""
        try:
            columns = [list(map(get, values)) for get in self._of_instance]
        except AttributeError:
            return None
        written = self._convert(columns, [plan.dump for plan in self._plans], dumping=True)
        return list(map(dict, map(zip, repeat(self._names), zip(*written, strict=True))))

    def load(self, values: Sequence[dict[str, Any]]) -> list[Any] | None:
        """Return the instances that JSON objects stand for; None if one lacks a field."""
        try:
            columns = [list(map(get, values)) for get in self._of_object]
        except KeyError:
            return None
        read = self._convert(columns, [plan.load for plan in self._plans], dumping=False)
        made: list[Any] = []
        try:
            made.extend(map(self._make, *read))
        except Exception as error:  # noqa: BLE001 - a class may have a __setattr__, say
            raise Misfit(f"{self._name} refuses these values: {error}").inside(f"[{len(made)}]") from None
        return made

    def _convert(self, columns: list[list[Any]], converts: list[Convert], *, dumping: bool) -> list[list[Any]]:
        converted: list[list[Any]] = []
        rows = len(columns[0])  # those before the first that fails
        failed: Exception | None = None
        for name, plan, convert, column in zip(self._names, self._plans, converts, columns, strict=True):
            if _is_bare(plan, column, dumping=dumping):
                converted.append(column)
                continue
            out: list[Any] = []
            converted.append(out)
            try:
                out.extend(map(convert, column if failed is None else column[:rows]))
            except RecursionError:  # of a value that contains itself no more is looked at
                raise
            except Exception as error:  # noqa: BLE001 - an earlier row may fail in a later field
                rows = len(out)
                failed = error.inside(f".{name}").inside(f"[{rows}]") if isinstance(error, Misfit) else error
        if isinstance(failed, Misfit):
            raise failed from None
        if failed is not None:
            raise failed
        return converted


def _is_bare(plan: Plan, column: list[Any], *, dumping: bool) -> bool:
    """Whether each of these values is its own JSON value."""
    kinds: set[type] = set(map(type, column))
    if kinds <= plan.bare:
        return not dumping or float not in kinds or _are_finite(column)
    if not plan.bare_parts or not kinds <= _LIST:
        return False
    parts: set[type] = set(map(type, chain.from_iterable(column)))
    return parts <= plan.bare_parts and (not dumping or float not in parts or _are_finite(chain.from_iterable(column)))


def _are_finite(values: Iterable[float | None]) -> bool:
    return all(map(math.isfinite, filter(None, values)))  # there is nothing else than floats and None
