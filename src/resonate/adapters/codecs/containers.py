"""Types with parts of their own kind: lists, sets, tuples, dicts.

Sets are written sorted, so that the same set is the same text in every process.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeGuard

from attrs import evolve

from resonate.adapters.codecs import text
from resonate.adapters.codecs.plan import Misfit, Plan, is_list, is_object, kind, wrong

_LIST: Final = frozenset({list})
_DICT: Final = frozenset({dict})
_TEXT: Final[frozenset[type]] = frozenset({str})
_SETS: Final = frozenset({set, frozenset})


def all_of(values: Iterable[Any], cls: type | None) -> bool:
    """Whether every value is of exactly this class, and finite. The loops run in C."""
    return cls is not None and set(map(type, values)) <= {cls} and (cls is not float or all(map(math.isfinite, values)))


def each(values: Iterable[Any], convert: Callable[[Any], Any]) -> list[Any]:
    """Convert each value; a `Misfit` gets its index."""
    out: list[Any] = []
    try:
        out.extend(map(convert, values))  # what came before the value that fails stays: so its length is the index
    except Misfit as misfit:
        raise misfit.inside(f"[{len(out)}]") from None
    return out


def _dump_all(values: Sequence[Any], element: Plan) -> list[Any]:
    return each(values, element.dump) if element.dump_all is None else element.dump_all(values)


def _load_all(values: Sequence[Any], element: Plan) -> list[Any]:
    return each(values, element.load) if element.load_all is None else element.load_all(values)


def _is_tuple(value: Any) -> TypeGuard[tuple[Any, ...]]:
    return type(value) is tuple


def _is_deque(value: Any) -> TypeGuard[deque[Any]]:
    return type(value) is deque


def _is_default_dict(value: Any) -> TypeGuard[defaultdict[Any, Any]]:
    return type(value) is defaultdict


def _is_like(value: Any, cls: type[Any], accepted: Any = None) -> bool:
    """Whether this is of a subclass, and what comes back of it, one of the class itself, will be equal."""
    return isinstance(value, accepted or cls) and bool(value == cls(value))


def _expect_list(value: Any, name: str) -> list[Any]:
    if not is_list(value):
        raise wrong(value, name)
    return value


def list_plan(name: str, element: Plan) -> Plan:
    """Return the plan of `list[T]` and of the abstract sequences, which come back as lists."""

    def dump(value: Any) -> list[Any]:
        if not is_list(value) and not _is_like(value, list):
            hint = "It would come back as a list; declare tuple[T, ...]." if _is_tuple(value) else None
            raise wrong(value, name, hint=hint)
        plain = element.plain is not None and element.plain(value)
        return list(value) if plain or all_of(value, element.own) else _dump_all(value, element)

    def load(value: Any) -> list[Any]:
        value = _expect_list(value, name)
        return value if element.plain is not None or all_of(value, element.own) else _load_all(value, element)

    return Plan(name=name, dump=dump, load=load, writes=_LIST, exact=_LIST, bare_parts=element.bare)


def deque_plan(name: str, element: Plan) -> Plan:
    """Return the plan of `deque[T]`, for one without a bound."""

    def dump(value: Any) -> list[Any]:
        if not _is_deque(value):
            raise wrong(value, name)
        if value.maxlen is not None:
            raise Misfit(f"a deque of at most {value.maxlen} elements would come back without that bound")
        return each(value, element.dump)

    def load(value: Any) -> deque[Any]:
        return deque(each(_expect_list(value, name), element.load))

    return Plan(name=name, dump=dump, load=load, writes=_LIST, exact=frozenset({deque}))


def set_plan(name: str, element: Plan, cls: type[set[Any] | frozenset[Any]]) -> Plan:
    """Return the plan of `set[T]` or `frozenset[T]`."""

    def dump(value: Any) -> list[Any]:
        if type(value) not in _SETS and not _is_like(value, set) and not _is_like(value, frozenset):
            raise wrong(value, name)
        try:
            written = [element.dump(item) for item in value]
        except Misfit as misfit:
            raise misfit.inside("{}") from None
        return sorted(written) if all_of(written, str) or all_of(written, int) else sorted(written, key=text.write)

    def load(value: Any) -> Any:
        try:
            return cls(each(_expect_list(value, name), element.load))
        except TypeError as error:
            raise Misfit(f"an unhashable element where {name} is declared") from error

    return Plan(name=name, dump=dump, load=load, writes=_LIST, exact=frozenset({cls}))


def tuple_plan(name: str, element: Plan) -> Plan:
    """Return the plan of `tuple[T, ...]`."""

    def dump(value: Any) -> list[Any]:
        if not _is_tuple(value):
            raise wrong(value, name)
        return list(value) if all_of(value, element.own) else _dump_all(value, element)

    def load(value: Any) -> tuple[Any, ...]:
        return tuple(_load_all(_expect_list(value, name), element))

    return Plan(name=name, dump=dump, load=load, writes=_LIST, exact=frozenset({tuple}))


def row_plan(name: str, elements: tuple[Plan, ...]) -> Plan:
    """Return the plan of a tuple of fixed length."""

    def checked(value: Any) -> Any:
        if len(value) != len(elements):
            raise Misfit(f"{len(value)} elements where {name} is declared")
        return value

    def dump(value: Any) -> list[Any]:
        if not _is_tuple(value):
            raise wrong(value, name)
        return in_columns(checked(value), [element.dump for element in elements])

    def load(value: Any) -> tuple[Any, ...]:
        return tuple(in_columns(checked(_expect_list(value, name)), [element.load for element in elements]))

    return Plan(name=name, dump=dump, load=load, writes=_LIST, exact=frozenset({tuple}))


def in_columns(values: Iterable[Any], converts: Iterable[Callable[[Any], Any]]) -> list[Any]:
    """Convert each value by the function at its place; a `Misfit` gets its index."""
    out: list[Any] = []
    try:
        for value, convert in zip(values, converts, strict=False):
            out.append(convert(value))
    except Misfit as misfit:
        raise misfit.inside(f"[{len(out)}]") from None
    return out


def default_dict_plan(name: str, key: Plan, value: Plan, factory: Any) -> Plan:
    """Return the plan of `defaultdict[K, V]`, of one that makes its values by the class V."""

    def make() -> defaultdict[Any, Any]:
        return defaultdict(factory)

    plan = dict_plan(name, key, value, defaultdict, make)

    def dump(mapping: Any) -> dict[str, Any]:
        if not _is_default_dict(mapping):
            raise wrong(mapping, name)
        if mapping.default_factory is not factory:
            raise Misfit(f"its default_factory is not the class that {name} declares, and would not come back")
        written: dict[str, Any] = plan.dump(mapping)
        return written

    return evolve(plan, dump=dump)


def dict_plan(name: str, key: Plan, value: Plan, cls: type[Any] = dict, make: Callable[[], Any] | None = None) -> Plan:
    """Return the plan of `dict[K, V]`, of the abstract mappings, which come back as dicts, and of dict's subclasses."""
    dump_key, load_key = _key_functions(key)
    made: Callable[[], Any] = make or cls
    as_text = key.own is str or key.untyped

    def dump(mapping: Any) -> dict[str, Any]:
        if type(mapping) is not cls and not _is_like(mapping, cls, Mapping if cls is dict else cls):
            raise wrong(mapping, name)
        if as_text and value.plain is not None and value.plain(mapping):
            return dict(mapping)
        if key.own is str and all_of(mapping, str) and all_of(mapping.values(), value.own):
            return dict(mapping)
        out: dict[str, Any] = {}
        for each_key, item in mapping.items():
            written = _inside_key(dump_key, each_key)
            try:
                out[written] = value.dump(item)
            except Misfit as misfit:
                raise misfit.inside(_step(written)) from None
        if len(out) != len(mapping):
            raise Misfit(f"two keys of this {name} are written alike")
        return out

    def load(mapping: Any) -> Any:
        if not is_object(mapping):
            raise wrong(mapping, name)
        if cls is dict and as_text and (value.plain is not None or all_of(mapping.values(), value.own)):
            return mapping
        out = made()
        for written, item in mapping.items():
            try:
                loaded = value.load(item)
            except Misfit as misfit:
                raise misfit.inside(_step(written)) from None
            out[_inside_key(load_key, written)] = loaded
        return out

    return Plan(name=name, dump=dump, load=load, writes=_DICT, exact=frozenset({cls}))


def _step(key: str) -> str:
    return f".{key}" if key.isidentifier() else f"[{key!r}]"


def _inside_key(convert: Callable[[Any], Any], key: Any) -> Any:
    try:
        return convert(key)
    except Misfit as misfit:
        raise misfit.inside(f".key({key!r:.60})") from None


def _key_functions(key: Plan) -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    """Return how keys are written and read: text as itself, everything else as its JSON text."""
    if key.untyped:
        return _only_text, _only_text
    if key.writes == _TEXT:
        return key.dump, key.load

    def dump(value: Any) -> str:
        return text.write(key.dump(value)).decode()

    def load(written: str) -> Any:
        try:
            value = text.read_big(written.encode())
        except ValueError as error:
            raise Misfit(f"{written!r:.60} is not a key of type {key.name}") from error
        loaded = key.load(value)
        try:
            hash(loaded)
        except TypeError as error:
            raise Misfit(f"an unhashable key of type {key.name}") from error
        return loaded

    return dump, load


def _only_text(key: Any) -> str:
    if type(key) is not str:
        raise Misfit(f"{kind(key)} where no type is declared for keys", hint="Declare the dict's key type.")
    return key
