"""Types with named parts: attrs classes, dataclasses, named tuples, typed dicts; generic ones included.

A class's plan is made when it is first used, since its fields may lead back to itself.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    Any,
    Final,
    Generic,
    NotRequired,
    Protocol,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
from attrs import frozen

from resonate.adapters.codecs.columns import FEWEST, Columns
from resonate.adapters.codecs.containers import each, in_columns
from resonate.adapters.codecs.plan import Convert, Fields, Find, Misfit, Plan, is_list, is_object, wrong

_SELF: Final[Any] = getattr(typing, "Self")  # noqa: B009 - a special form, of which type checkers make no value
_OBJECT: Final[frozenset[type]] = frozenset({dict})


@frozen(kw_only=True)
class Part:
    """A field of a class.

    Args:
        name: its name in JSON and on the instance.
        argument: its name as an argument of the constructor.
        type_: its declared type.
        required: whether the constructor requires it.
        given: whether the constructor takes it at all.
        compared: whether it counts when instances are compared.
    """

    name: str
    argument: str
    type_: Any
    required: bool
    given: bool
    compared: bool


# ---------------------------------------------------------------- reading classes


def has_fields(cls: Any) -> bool:
    """Whether this is an attrs class or a dataclass."""
    return attrs.has(cls) or dataclasses.is_dataclass(cls)


def is_named_tuple(cls: Any) -> bool:
    """Whether this is a named tuple's class."""
    return hasattr(cls, "_fields") and issubclass(cls, tuple)


def substitute(type_: Any, variables: Mapping[Any, Any]) -> Any:
    """Put types in the place of type variables."""
    if isinstance(type_, TypeVar):
        return variables.get(type_, type_)
    parameters = getattr(type_, "__parameters__", ())
    if not parameters or isinstance(type_, type):
        return type_
    return type_[tuple(variables.get(parameter, parameter) for parameter in parameters)]


def field_types(type_: Any) -> dict[str, Any]:
    """Return the resolved types of a class's fields, inherited and generic ones included."""
    found: dict[str, Any] = {}
    for cls, variables in reversed(_lineage(type_)):
        own = inspect.get_annotations(cls)
        hints = _hints(cls) if own else {}
        found.update((name, with_self(substitute(hints[name], variables), type_)) for name in own if name in hints)
    return found


def with_self(type_: Any, cls: Any) -> Any:
    """Put a class in the place of `Self`."""
    if type_ is _SELF:
        return cls
    args = get_args(type_)
    put = tuple(with_self(arg, cls) for arg in args)
    if put == args:
        return type_
    origin: Any = get_origin(type_)
    return Union[put] if origin in {Union, types.UnionType} else origin[put]  # noqa: UP007 - of a tuple


def _lineage(type_: Any) -> list[tuple[type, Mapping[Any, Any]]]:
    """Return the class and its bases in resolution order, each with its type variables' values."""
    cls = get_origin(type_) or type_
    values: dict[type, Mapping[Any, Any]] = {}
    _bind(cls, get_args(type_), values)
    return [(base, values.get(base, {})) for base in cls.__mro__ if base is not object]


def _bind(cls: Any, args: tuple[Any, ...], values: dict[type, Mapping[Any, Any]]) -> None:
    variables = dict(zip(getattr(cls, "__parameters__", ()), args, strict=False))
    values.setdefault(cls, variables)
    own: dict[str, Any] = cls.__dict__
    bases: tuple[Any, ...] = own.get("__orig_bases__", cls.__bases__)
    for base in bases:
        if get_origin(base) in (Generic, Protocol):
            continue
        bound = substitute(base, variables)
        origin = get_origin(bound) or bound
        if isinstance(origin, type) and origin is not object:
            _bind(origin, get_args(bound), values)


def parts_of(type_: Any) -> list[Part]:
    """Return the fields of an attrs class or a dataclass."""
    cls: Any = get_origin(type_) or type_
    types = field_types(type_)
    if attrs.has(cls):
        return [
            Part(
                name=each.name,
                argument=each.alias,
                type_=types.get(each.name, each.type or Any),
                required=each.init and each.default is attrs.NOTHING,
                given=each.init,
                compared=bool(each.eq),
            )
            for each in attrs.fields(cls)
        ]
    missing = dataclasses.MISSING
    return [
        Part(
            name=each.name,
            argument=each.name,
            type_=types.get(each.name, Any),
            required=each.init and each.default is missing and each.default_factory is missing,
            given=each.init,
            compared=each.compare,
        )
        for each in dataclasses.fields(cls)
    ]


def _runs_code(cls: Any) -> bool:
    """Whether making an instance may do more than store its arguments, so that the result must be compared."""
    if any(hasattr(cls, hook) for hook in ("__attrs_post_init__", "__attrs_pre_init__", "__post_init__")):
        return True
    code = getattr(cls.__init__, "__code__", None)
    source = getattr(code, "co_filename", "")
    taken = 0 if code is None else code.co_argcount + code.co_kwonlyargcount - 1
    generated = source == "<string>" or source.startswith("<attrs generated")  # by dataclasses, by attrs
    if not generated or cls.__new__ is not object.__new__:
        return True
    if attrs.has(cls):
        return any(each.converter or each.validator or not each.init for each in attrs.fields(cls))
    fields = dataclasses.fields(cls)
    return len(fields) != taken or any(not each.init for each in fields)  # an InitVar is taken, and no field


# ---------------------------------------------------------------- plans


def object_plan(type_: Any, name: str, find: Find) -> Plan:
    """Return the plan of an attrs class or a dataclass: an object with the fields that its constructor takes."""
    cls: Any = get_origin(type_) or type_

    @functools.cache
    def parts() -> tuple[list[tuple[Part, Plan]], list[Part]]:
        found = parts_of(type_)
        return [(part, find(part.type_)) for part in found if part.given], [
            part for part in found if part.compared and not part.given
        ]

    careful = _runs_code(cls)

    def write(value: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for part, plan in parts()[0]:
            try:
                item = getattr(value, part.name)
                out[part.name] = item if type(item) is plan.own is not float else plan.dump(item)
            except Misfit as misfit:
                raise misfit.inside(f".{part.name}") from None
        return out

    def dump(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            hint = None
            if isinstance(value, cls):
                hint = f"Its own fields would be lost; declare {name} | {type(value).__qualname__}."
            raise wrong(value, name, hint=hint)
        out = write(value)
        if careful:
            _compare(value, out, load(_fresh(out)), write, parts()[1])
        return out

    def load(value: Any) -> Any:
        return _construct(cls, name, _arguments(value, name, parts()[0]))

    def fields() -> Fields:
        given = [part for part, _ in parts()[0]]
        return Fields(frozenset(part.name for part in given), frozenset(part.name for part in given if part.required))

    exact: frozenset[type] = frozenset({cls})
    dump_all, load_all = (None, None) if careful else _in_columns(cls, name, dump, load, lambda: parts()[0])
    return Plan(
        name=name,
        dump=dump,
        load=load,
        writes=_OBJECT,
        exact=exact,
        dump_all=dump_all,
        load_all=load_all,
        inline=True,
        fields=fields,
    )


def _in_columns(
    cls: Any, name: str, dump: Convert, load: Convert, parts: Callable[[], list[tuple[Part, Plan]]]
) -> tuple[Callable[[Sequence[Any]], list[Any]], Callable[[Sequence[Any]], list[Any]]]:
    """Return how many instances are written and read, of a class whose constructor only stores its arguments."""

    @functools.cache
    def columns() -> Columns:
        arguments = tuple(part.argument for part, _ in parts())
        code = cls.__init__.__code__
        by_position: bool = code.co_varnames[1 : code.co_argcount] == arguments
        plans = [plan for _, plan in parts()]
        return Columns(
            name,
            [part.name for part, _ in parts()],
            plans,
            cls if by_position else lambda *row: cls(**dict(zip(arguments, row, strict=True))),
        )

    def dump_all(values: Sequence[Any]) -> list[Any]:
        many = len(values) >= FEWEST and set(map(type, values)) == {cls} and parts()
        written = columns().dump(values) if many else None
        return each(values, dump) if written is None else written

    def load_all(values: Sequence[Any]) -> list[Any]:
        many = len(values) >= FEWEST and set(map(type, values)) <= _OBJECT and parts()
        read = columns().load(values) if many else None
        return each(values, load) if read is None else read

    return dump_all, load_all


def _arguments(value: Any, name: str, parts: Iterable[tuple[Part, Plan]]) -> dict[str, Any]:
    """Read the fields; those unknown are passed over, as a newer version of the class may have written them."""
    if not is_object(value):
        raise wrong(value, name)
    arguments: dict[str, Any] = {}
    for part, plan in parts:
        if part.name in value:
            item = value[part.name]
            try:
                arguments[part.argument] = item if type(item) is plan.own else plan.load(item)
            except Misfit as misfit:
                raise misfit.inside(f".{part.name}") from None
        elif part.required:
            raise Misfit(f"nothing where {name} requires a value").inside(f".{part.name}")
    return arguments


def _construct(cls: Callable[..., Any], name: str, arguments: dict[str, Any]) -> Any:
    try:
        return cls(**arguments)
    except Exception as error:  # the class's validators raise what they like
        raise Misfit(f"{name} refuses these values: {error}") from error


def _fresh(json: Any) -> Any:
    """Return a JSON value that shares no part with this one: a constructor may change what it is given."""
    if is_list(json):
        return [_fresh(item) for item in json]
    return {key: _fresh(item) for key, item in json.items()} if is_object(json) else json


def _compare(
    value: Any, written: dict[str, Any], back: Any, write: Callable[[Any], dict[str, Any]], derived: Iterable[Part]
) -> None:
    """Raise a `Misfit` if the instance that was read back differs from the one that was written."""
    again = write(back)
    for name, json in written.items():
        if again[name] != json:
            raise Misfit("its constructor changes this field, so it would not come back equal").inside(f".{name}")
    missing = object()
    for part in derived:
        if getattr(value, part.name, missing) != getattr(back, part.name, missing):
            text = "a field that the constructor does not take, and that would not come back equal"
            raise Misfit(text).inside(f".{part.name}")


def named_tuple_plan(type_: Any, name: str, find: Find) -> Plan:
    """Return the plan of a named tuple: an array of its fields."""
    cls: Any = get_origin(type_) or type_

    @functools.cache
    def plans() -> list[Plan]:
        types = field_types(type_)
        return [find(types.get(each, Any)) for each in cls._fields]

    def dump(value: Any) -> list[Any]:
        if type(value) is not cls:
            raise wrong(value, name)
        return in_columns(value, [plan.dump for plan in plans()])

    def load(value: Any) -> Any:
        if not is_list(value):
            raise wrong(value, name)
        if not len(cls._fields) - len(cls._field_defaults) <= len(value) <= len(cls._fields):
            raise Misfit(f"{len(value)} elements where {name} is declared")
        return cls(*in_columns(value, [plan.load for plan in plans()]))

    return Plan(name=name, dump=dump, load=load, writes=frozenset({list}), exact=frozenset({cls}))


def typed_dict_plan(type_: Any, name: str, find: Find) -> Plan:
    """Return the plan of a typed dict: an object with its keys and no others."""
    cls: Any = get_origin(type_) or type_

    @functools.cache
    def plans() -> dict[str, Plan]:
        variables = dict(zip(getattr(cls, "__parameters__", ()), get_args(type_), strict=False))
        return {key: find(_bare(substitute(hint, variables))) for key, hint in _hints(cls).items()}

    @functools.cache
    def required() -> list[str]:
        return [key for key, hint in _hints(cls).items() if _is_required(cls, key, hint)]

    def dump(value: Any) -> dict[str, Any]:
        if not is_object(value):
            raise wrong(value, name)
        for key in value:
            if key not in plans():
                raise Misfit(f"the key {key!r:.60} that {name} does not have")
        return convert(value, dumping=True)

    def load(value: Any) -> dict[str, Any]:
        if not is_object(value):
            raise wrong(value, name)
        return convert({key: item for key, item in value.items() if key in plans()}, dumping=False)

    def convert(value: dict[str, Any], *, dumping: bool) -> dict[str, Any]:
        for key in required():
            if key not in value:
                raise Misfit(f"nothing where {name} requires a value").inside(f".{key}")
        out: dict[str, Any] = {}
        known = plans()
        for key, item in value.items():
            plan = known[key]
            try:
                if type(item) is plan.own is not float:
                    out[key] = item
                else:
                    out[key] = plan.dump(item) if dumping else plan.load(item)
            except Misfit as misfit:
                raise misfit.inside(f".{key}") from None
        return out

    def fields() -> Fields:
        return Fields(frozenset(plans()), frozenset(required()))

    return Plan(name=name, dump=dump, load=load, writes=_OBJECT, exact=_OBJECT, fields=fields)


_MARKERS: Final = (Required, NotRequired, getattr(typing, "ReadOnly", Required))


def _hints(cls: type) -> dict[str, Any]:
    try:
        return get_type_hints(cls, include_extras=True)
    except Exception as error:  # whatever a name in an annotation can raise
        raise Misfit(f"the annotations of {cls.__qualname__} can't be resolved: {error}") from error


def _is_required(cls: Any, key: str, hint: Any) -> bool:
    """Whether the key must be there; `__required_keys__` alone does not see markers in postponed annotations."""
    while (marker := get_origin(hint)) in _MARKERS:
        if marker in {Required, NotRequired}:
            return marker is Required
        hint = get_args(hint)[0]
    return key in cls.__required_keys__


def _bare(type_: Any) -> Any:
    """Strip `Required[]`, `NotRequired[]` and, where Python has it, `ReadOnly[]`."""
    while get_origin(type_) in _MARKERS:
        type_ = get_args(type_)[0]
    return type_
