"""Calls to JSON values and back: `{"func", "args", "kwargs", "version"}`, each argument by its declared type.

Each step writes and reads one. So the usual argument costs no function call: one whose type was met before, and that
is its own JSON value.
"""

from __future__ import annotations

from typing import Any

from resonate.adapters.codecs.book import PlanBook
from resonate.adapters.codecs.plan import Misfit, Plan, is_list, is_object, kind
from resonate.core.values import Call, Signature


def dump_call(call: Call, signature: Signature, book: PlanBook) -> dict[str, Any]:
    """Return a call as a JSON value."""
    plans, declared = book.plans, signature.positional
    args: list[Any] = []
    try:
        for arg in call.args:
            index = len(args)
            type_ = declared[index] if index < len(declared) else _rest(signature)
            try:
                plan = plans[type_]
            except (KeyError, TypeError):  # not met yet, or unhashable
                plan = book.find(type_)
            args.append(arg if type(arg) is plan.own is not float else plan.dump(arg))
    except Misfit as misfit:
        raise misfit.inside(_step(signature, len(args))) from misfit.__cause__
    json: dict[str, Any] = {"func": call.func, "args": args}
    if call.kwargs:
        kwargs: dict[str, Any] = {}
        json["kwargs"] = kwargs
        for name, arg in call.kwargs.items():
            try:
                kwargs[name] = _named(name, signature, book).dump(arg)
            except Misfit as misfit:
                raise misfit.inside(f".{name}") from misfit.__cause__
    if call.version is not None:
        json["version"] = call.version
    return json


def callee(json: Any) -> tuple[str, int | None]:
    """Return the name and version of the function that a call is of. Raise `Misfit` for what is no call."""
    if not is_object(json):
        raise Misfit(f"{kind(json)} where a call is expected")
    func, version = json.get("func"), json.get("version")
    if type(func) is not str:
        raise Misfit(f"{kind(func)} where a function's name is expected").inside(".func")
    if version is not None and type(version) is not int:
        raise Misfit(f"{kind(version)} where a version is expected").inside(".version")
    return func, version or None  # 0 is how the TypeScript SDK says "the latest"


def load_arguments(json: Any, signature: Signature, book: PlanBook) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call, those by position and those by name."""
    given, named = json.get("args"), json.get("kwargs")
    if given is not None and not is_list(given):
        raise Misfit(f"{kind(given)} where a list of arguments is expected").inside(".args")
    if named is not None and not is_object(named):
        raise Misfit(f"{kind(named)} where named arguments are expected").inside(".kwargs")
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    if given:
        plans, declared = book.plans, signature.positional
        try:
            for arg in given:
                index = len(args)
                type_ = declared[index] if index < len(declared) else _rest(signature)
                try:
                    plan = plans[type_]
                except (KeyError, TypeError):
                    plan = book.find(type_)
                args.append(arg if type(arg) is plan.own else plan.load(arg))
        except Misfit as misfit:
            raise misfit.inside(_step(signature, len(args))) from misfit.__cause__
    if named:
        for name, arg in named.items():
            try:
                kwargs[name] = _named(name, signature, book).load(arg)
            except Misfit as misfit:
                raise misfit.inside(f".{name}") from misfit.__cause__
    return tuple(args), kwargs


def _rest(signature: Signature) -> Any:
    """Return the type of an argument beyond the named ones."""
    if signature.rest is None:
        raise Misfit(f"an argument too many: the function takes {len(signature.positional)}")
    return signature.rest


def _step(signature: Signature, index: int) -> str:
    names = signature.names
    return f".{names[index]}" if index < len(names) else f"args[{index}]"


def _named(name: str, signature: Signature, book: PlanBook) -> Plan:
    if name in signature.keyword:
        return book.find(signature.keyword[name])
    if signature.extra is None:
        raise Misfit("the function has no parameter of this name")
    return book.find(signature.extra)
