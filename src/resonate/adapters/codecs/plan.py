"""How one declared type crosses: a pair of checked functions between Python values and JSON values.

Law 1: `dump` accepts only what `load` gives back as an equal value; anything else is a `Misfit`.
Law 2: `load` gives values of the declared type only; anything else is a `Misfit`.
Law 3: neither keeps nor returns state that two calls share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard

from attrs import frozen

Convert: TypeAlias = Callable[[Any], Any]
Find: TypeAlias = Callable[[Any], "Plan"]

NULL: Final = type(None)
SIXTY_FOUR_BITS: Final = range(-(2**63), 2**64)


class Misfit(Exception):
    """A value, or stored data, does not fit the type. Carries the path to it, collected on the way out.

    Args:
        text: what is wrong, as a clause.
        hint: what to do about it, as a sentence.
        big: whether the data may hold a whole number that the fast parser read as a float.
    """

    def __init__(self, text: str, *, hint: str | None = None, big: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.big = big
        self._steps: list[str] = []

    def inside(self, step: str) -> Misfit:
        """Put a step in front of the path: `.name` or `[3]`."""
        self._steps.append(step)
        return self

    @property
    def path(self) -> str:
        """Return the path to the bad part, `items[3].price`; empty where the whole value is bad."""
        return "".join(reversed(self._steps)).removeprefix(".")


class Fields(NamedTuple):
    """The fields of a type that is written as an object."""

    known: frozenset[str]
    required: frozenset[str]


@frozen(kw_only=True, eq=False)
class Plan:
    """How values of one declared type are written and read.

    Args:
        name: the type in messages and in union tags; the same in every process.
        dump: value to JSON value.
        load: JSON value to value.
        writes: the JSON types that `dump` can produce.
        reads: the JSON types that `load` accepts beside those.
        exact: a value of exactly one of these classes is this type's, wherever a union must choose.
        own: values of exactly this class are their own JSON value, both ways.
        bare: values of exactly these classes are their own JSON value, both ways; floats, to be written, if finite.
        bare_parts: the same of the parts of a list.
        dump_all: as `dump` of each, for many; a `Misfit` gets its index.
        load_all: as `load` of each, for many; a `Misfit` gets its index.
        native: one of JSON's own scalars; stays untagged in a union.
        inline: writes an object of fields, into which a union's tag can go.
        untyped: the plan of `Any`.
        plain: of the quick plan of `Any`: whether a value is its own JSON value; what is read always is.
        fields: for an object of fields: their names, and those that must be there; found when they are asked for.
    """

    name: str
    dump: Convert
    load: Convert
    writes: frozenset[type]
    reads: frozenset[type] = frozenset()
    exact: frozenset[type] = frozenset()
    own: type | None = None
    bare: frozenset[type] = frozenset()
    bare_parts: frozenset[type] = frozenset()
    dump_all: Callable[[Sequence[Any]], list[Any]] | None = None
    load_all: Callable[[Sequence[Any]], list[Any]] | None = None
    native: bool = False
    inline: bool = False
    untyped: bool = False
    plain: Callable[[Any], bool] | None = None
    fields: Callable[[], Fields] | None = None


def later_plan(name: str, find: Callable[[], Plan]) -> Plan:
    """Return a stand-in for a plan that is still being made, inside of itself."""

    def dump(value: Any) -> Any:
        return find().dump(value)

    def load(value: Any) -> Any:
        return find().load(value)

    return Plan(name=name, dump=dump, load=load, writes=frozenset({NULL, bool, int, float, str, list, dict}))


def class_of(value: object) -> type:
    """Return the value's class."""
    return type(value)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether this is JSON's array."""
    return type(value) is list


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this is JSON's object, if it is JSON at all."""
    return type(value) is dict


def kind(value: object) -> str:
    """Name a value's type as users know it."""
    return "None" if value is None else type(value).__qualname__


def wrong(value: object, name: str, *, hint: str | None = None) -> Misfit:
    """Say that a value is not of the declared type."""
    big = type(value) is float and abs(value) >= 2**63  # may have been a whole number in the text
    return Misfit(f"{kind(value)} where {name} is declared", hint=hint, big=big)
