"""The types that a function declares, read once.

Law 1: a hint that can't be resolved here (a name under TYPE_CHECKING) counts as `Any`, and is told of: whoever
    registers the function refuses it, for what is stored would else be read as something else.
Law 2: reading a function doesn't call it.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias, TypeVar, get_args, get_origin

from attrs import frozen

from resonate.core.values import Signature

AnyCallable: TypeAlias = Callable[..., Any]
Parameters: TypeAlias = tuple[inspect.Parameter, ...]

_BY_POSITION: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@frozen(kw_only=True)
class Unresolved:
    """A hint that can't be evaluated; `text` is the hint as it was written, `missing` the name that is not known here.

    `missing` is None where it is something else that is wrong: then it was not meant as a type.
    """

    text: str
    missing: str | None = None


def plain_function(fn: AnyCallable) -> AnyCallable:
    """Return the function that a call of `fn` runs, below methods, partials and callable objects."""
    while True:
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif isinstance(fn, types.MethodType | staticmethod):
            fn = fn.__func__
        elif _is_callable_object(fn):
            fn = type(fn).__call__
        else:
            return fn


def _is_callable_object(fn: AnyCallable) -> bool:
    """Say whether `fn` is an instance of a class written in Python that defines `__call__`."""
    return isinstance(getattr(type(fn), "__call__", None), types.FunctionType)  # noqa: B004 -- asks for its type


def parameters(fn: AnyCallable) -> Parameters:
    """Return the parameters that a caller of `fn` gives, without `self`. Raise `ValueError` if none are known."""
    return tuple(_signature(fn).parameters.values())


def hints(fn: AnyCallable) -> Mapping[str, Any]:
    """Return the resolved hints of `fn` by parameter, `return` included; `Unresolved` where that fails."""
    function = inspect.unwrap(plain_function(fn))
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001 -- a hint is any expression, so it fails in any way
        return {name: _resolve(hint, function) for name, hint in _annotations(function).items()}


def unresolved(params: Parameters, types_: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a line for each hint of `params`, and for the result's, that names what is not known here."""
    what = {param.name: f"of its parameter {param.name}" for param in params} | {"return": "of its result"}
    return tuple(
        f"the annotation {hint.text} {where} names {hint.missing}, which is not known at run time"
        for name, where in what.items()
        if isinstance(hint := types_.get(name), Unresolved) and hint.missing is not None
    )


def signature(
    params: Parameters, types_: Mapping[str, Any], *, returns: Any, unresolved: tuple[str, ...] = ()
) -> Signature:
    """Return the types of `params`, which leave out a context or info; `types_` are their hints."""

    def of(param: inspect.Parameter) -> Any:
        return _usable(types_.get(param.name, Any))

    return Signature(
        positional=tuple(of(param) for param in params if param.kind in _BY_POSITION),
        names=tuple(param.name for param in params if param.kind in _BY_POSITION),
        keyword={param.name: of(param) for param in params if param.kind in _BY_NAME},
        rest=next((of(param) for param in params if param.kind is inspect.Parameter.VAR_POSITIONAL), None),
        extra=next((of(param) for param in params if param.kind is inspect.Parameter.VAR_KEYWORD), None),
        returns=returns,
        unresolved=unresolved,
    )


def returned(types_: Mapping[str, Any]) -> Any:
    """Return the type that an `async def` or a `def` declares to return."""
    return _usable(types_.get("return", Any))


def generator_returned(types_: Mapping[str, Any]) -> Any:
    """Return R of a generator function that is declared as `Generator[Y, S, R]`; `Any` if it is declared otherwise."""
    declared = _bare(types_.get("return", Any))
    if get_origin(declared) is Generator and len(get_args(declared)) == len(("Y", "S", "R")):
        return _usable(get_args(declared)[2])
    return Any


def is_marked(hint: Any, mark: str, name: str) -> bool:
    """Say whether `hint` is a class that carries the attribute `mark`, or can't be resolved and is written as `name`.

    The class may be parametrized, annotated or aliased.
    """
    bare = _bare(hint)
    if isinstance(bare, Unresolved):
        written = bare.text.partition("[")[0].strip().strip("'\"")
        return written == name or (written.startswith("resonate.") and written.endswith(f".{name}"))
    return isinstance(bare, type) and getattr(bare, mark, False) is True


def mentions(hint: Any, mark: str, name: str) -> bool:
    """Say whether `hint` is marked, or is a union or other form with a marked part."""
    parts: Sequence[Any] = get_args(hint)
    return is_marked(hint, mark, name) or any(mentions(part, mark, name) for part in parts)


def _bare(hint: Any) -> Any:
    """Strip aliases, annotations and, unless it is a generator's, parameters."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif type(hint).__name__ == "TypeAliasType":  # `type X = ...`, which Python 3.11 does not have itself
            hint = _alias_value(hint)
        elif isinstance(get_origin(hint), type) and get_origin(hint) is not Generator:
            hint = get_origin(hint)
        else:
            return hint


def _alias_value(alias: Any) -> Any:
    try:
        return alias.__value__
    except Exception:  # noqa: BLE001 -- the aliased expression is evaluated now, and fails in any way
        return Unresolved(text=alias.__name__)


def _usable(hint: Any) -> Any:
    """Replace what says nothing about a value: unresolved hints, type variables, `Unpack[...]`, `P.args`."""
    if isinstance(hint, TypeVar):
        return _usable(hint.__bound__) if hint.__bound__ is not None else Any
    silent = isinstance(hint, Unresolved | typing.ParamSpecArgs | typing.ParamSpecKwargs)
    return Any if silent or get_origin(hint) is typing.Unpack else hint


def _resolve(hint: Any, function: AnyCallable) -> Any:
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    try:
        return typing.get_type_hints(holder, getattr(function, "__globals__", {}), include_extras=True)["hint"]
    except Exception as error:  # noqa: BLE001 -- a hint is any expression, so it fails in any way
        text = getattr(hint, "__forward_arg__", None) or str(hint)
        missing = error.name if isinstance(error, NameError | AttributeError) else None
        return Unresolved(text=text, missing=missing)


if sys.version_info >= (3, 14):  # pragma: no cover -- hints are evaluated lazily there
    import annotationlib

    def _signature(fn: AnyCallable) -> inspect.Signature:
        return inspect.signature(fn, annotation_format=annotationlib.Format.FORWARDREF)

    def _annotations(function: AnyCallable) -> Mapping[str, Any]:
        return annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF)

else:

    def _signature(fn: AnyCallable) -> inspect.Signature:
        return inspect.signature(fn)

    def _annotations(function: AnyCallable) -> Mapping[str, Any]:
        return getattr(function, "__annotations__", {})
