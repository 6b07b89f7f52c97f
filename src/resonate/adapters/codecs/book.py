"""From a declared type to its plan, each made once."""

from __future__ import annotations

import collections
import inspect
import types
import typing
from collections import abc
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Final, Literal, NewType, TypeGuard, TypeVar, Union, get_args, get_origin

from cattrs import Converter

from resonate.adapters.codecs import classes, containers, leaves, libraries, unions
from resonate.adapters.codecs.foreign import Foreign, refused_plan, unknown_plan
from resonate.adapters.codecs.plan import NULL, Plan, later_plan
from resonate.adapters.codecs.untyped import untyped_plan

_LISTS: Final = frozenset({list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable, abc.Reversible})
_SETS: Final[dict[Any, Any]] = {
    set: set, abc.MutableSet: set, frozenset: frozenset, abc.Set: frozenset,
}  # fmt: skip
_DICTS: Final[dict[Any, Any]] = {
    dict: dict, abc.Mapping: dict, abc.MutableMapping: dict, collections.OrderedDict: collections.OrderedDict,
}  # fmt: skip


_FUNCTIONS: Final[frozenset[Any]] = frozenset({abc.Callable})
_NO_NAMES: Final[Mapping[str, type]] = types.MappingProxyType({})


class PlanBook:
    """The plans of all types that one codec has met.

    Args:
        converter: whose hooks for classes take part.
        careful: which plan `Any` gets (see `untyped_plan`).
        renamed: classes of unions by the names that they had before.
    """

    def __init__(self, converter: Converter | None, *, careful: bool, renamed: Mapping[str, type] = _NO_NAMES) -> None:
        self._former = {old: name_of(cls) for old, cls in renamed.items()}
        untyped = untyped_plan(careful=careful)
        self.plans: dict[Any, Plan] = {**leaves.LEAVES, Any: untyped, object: untyped}
        """The plans of the types met so far. `find` makes the others."""
        self._foreign = None if converter is None else Foreign(converter)
        if self._foreign is not None:
            for cls in leaves.LEAVES:
                if cls is not None and self._foreign.overrides(cls):
                    self.plans[cls] = self._foreign.plan(cls, name_of(cls))

    def find(self, type_: Any) -> Plan:
        """Return the plan of a type. Raise `Misfit` for a type that no plan can be made of."""
        try:
            known = self.plans.get(type_)
        except TypeError:  # an unhashable annotation
            return self._make(type_)
        if known is None:
            known = self.plans[type_] = self._make(type_)
        return known

    def _make(self, type_: Any) -> Plan:
        if self._foreign is not None and isinstance(type_, type) and self._foreign.overrides(type_):
            return self._foreign.plan(type_, name_of(type_))
        return self._alias(type_) or self._container(type_) or self._class(type_)

    def _alias(self, type_: Any) -> Plan | None:
        """Look through names and notes to the type behind them."""
        origin = get_origin(type_)
        if origin is Annotated:
            return self.find(get_args(type_)[0])
        if origin is Union or origin is types.UnionType:
            return self._union(type_)
        if origin is Literal:
            return leaves.literal_plan(get_args(type_), self.find)
        if origin in {typing.Final, typing.ClassVar, typing.Required, typing.NotRequired}:
            return self.find(get_args(type_)[0])
        if type_ is typing.LiteralString:
            return self.find(str)
        if isinstance(type_, NewType):
            return self.find(type_.__supertype__)
        if isinstance(type_, TypeVar):
            return self.find(_bound(type_))
        named = origin or type_
        if type(named).__name__ == "TypeAliasType":  # `type X = ...`, which Python 3.11 lacks
            self.plans[type_] = later_plan(name_of(type_), lambda: self.plans[type_])  # it may refer to itself
            variables = dict(zip(named.__type_params__, get_args(type_), strict=False))
            return self.find(classes.substitute(named.__value__, variables))
        return None

    def _union(self, type_: Any) -> Plan:
        plans = list(dict.fromkeys(self.find(member) for member in _members(type_)))
        name = name_of(type_)
        for plan in plans:
            if plan.untyped or not plan.writes:  # of a type without values there is no union
                return plan
        if len(plans) == 1:
            return plans[0]
        null = self.find(NULL)
        others = [plan for plan in plans if plan is not null]
        if null in plans and len(others) == 1 and NULL not in others[0].writes:
            return unions.optional_plan(name, others[0])
        return unions.union_plan(name, plans, self._former)

    def _container(self, type_: Any) -> Plan | None:
        origin, args = get_origin(type_) or type_, get_args(type_)
        if not isinstance(origin, type):
            return None
        name = name_of(type_)
        if origin in _LISTS:
            return containers.list_plan(name, self.find(*args or (Any,)))
        if origin in _SETS:
            return containers.set_plan(name, self.find(*args or (Any,)), _SETS[origin])
        if origin in _DICTS:
            key, value = args or (Any, Any)
            return containers.dict_plan(name, self.find(key), self.find(value), _DICTS[origin])
        if origin is collections.Counter:
            return containers.dict_plan(name, self.find(*args or (Any,)), self.find(int), collections.Counter)
        if origin is collections.defaultdict:
            key, value = args or (Any, Any)
            factory = get_origin(value) or value
            return containers.default_dict_plan(
                name, self.find(key), self.find(value), factory if _is_class(factory) else None
            )
        if origin is collections.deque:
            return containers.deque_plan(name, self.find(*args or (Any,)))
        if origin is tuple:
            return self._tuple(name, args, bare=type_ is tuple)
        return None

    def _tuple(self, name: str, args: tuple[Any, ...], *, bare: bool) -> Plan:
        if bare:
            return containers.tuple_plan(name, self.find(Any))
        if len(args) == 2 and args[1] is Ellipsis:
            return containers.tuple_plan(name, self.find(args[0]))
        return containers.row_plan(name, tuple(self.find(arg) for arg in args))

    def _class(self, type_: Any) -> Plan:
        cls: Any = get_origin(type_) or type_
        name = name_of(type_)
        if typing.is_typeddict(cls):
            return classes.typed_dict_plan(type_, name, self.find)
        if not _is_class(cls):
            return unknown_plan(name)
        by_library = libraries.library_plan(type_, cls, name)
        if by_library is not None:
            return by_library
        if getattr(cls, "_is_protocol", False):
            return refused_plan(
                f"{name} is a Protocol: it says what a value can do, not what it is made of",
                "Declare the class, or the union of the classes, that the values are of.",
            )
        if issubclass(cls, Enum):
            return leaves.enum_plan(cls, name)
        if classes.has_fields(cls):
            return classes.object_plan(type_, name, self.find)
        if classes.is_named_tuple(cls):
            return classes.named_tuple_plan(type_, name, self.find)
        return self._unfamiliar(cls, name)

    def _unfamiliar(self, cls: Any, name: str) -> Plan:
        if self._foreign is not None and self._foreign.knows(cls):
            return self._foreign.plan(cls, name)
        if cls in _FUNCTIONS:
            return refused_plan("no way to write a function is known", "Store its name, or what it is made of.")
        if inspect.isabstract(cls):
            return refused_plan(
                f"{name} is an abstract class: no value is of exactly this class",
                "Declare the class, or the union of the classes, that the values are of.",
            )
        return unknown_plan(name)


def _members(union: Any) -> list[Any]:
    """Return a union's members, those of unions behind `type X = ...` included."""
    found: list[Any] = []
    for member in get_args(union):
        behind = member.__value__ if type(member).__name__ == "TypeAliasType" else None
        found += _members(behind) if get_origin(behind) in {Union, types.UnionType} else [member]
    return found


def _is_class(type_: Any) -> TypeGuard[type]:
    return isinstance(type_, type)


def _bound(variable: TypeVar) -> Any:
    if variable.__bound__ is not None:
        return variable.__bound__
    return Union[variable.__constraints__] if variable.__constraints__ else Any  # noqa: UP007 - of a tuple


def name_of(type_: Any) -> str:
    """Name a type in messages and tags: `dict[str, Card]`. The same in every process."""
    if type_ is None or type_ is NULL:
        return "None"
    if type_ is Ellipsis:
        return "..."
    origin, args = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return name_of(args[0])
    if origin is Union or origin is types.UnionType:
        return " | ".join(sorted(map(name_of, args), key=lambda name: (name == "None", name)))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin is not None:
        return f"{name_of(origin)}[{', '.join(map(name_of, args))}]"
    return getattr(type_, "__qualname__", None) or getattr(type_, "__name__", None) or str(type_)
