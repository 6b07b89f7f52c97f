"""Models of pydantic and structs of msgspec: written and read by their own libraries, where the program uses them.

Neither library is imported here: a class of theirs can only be there if somebody else has imported it.

Law 1: what these libraries write is read back and compared before it leaves; what differs is refused.
Law 2: sets are written in the order of their members' JSON, so that equal values are equal bytes in every process.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, TypeGuard

from resonate.adapters.codecs import text
from resonate.adapters.codecs.comparing import difference
from resonate.adapters.codecs.plan import Fields, Misfit, Plan, is_list, is_object, wrong
from resonate.adapters.codecs.untyped import untyped_plan

_UNTYPED: Final = untyped_plan(careful=True)
_EVERYTHING: Final = frozenset({type(None), bool, int, float, str, list, dict})
_OBJECT: Final[frozenset[type]] = frozenset({dict})
_LIST: Final[frozenset[type]] = frozenset({list})
_AT: Final = re.compile(r" - at `\$(?P<path>.*)`$")
_STEP: Final = re.compile(r"\.[^.\[\]]+|\[[^\]]*\]")


def library_plan(type_: Any, cls: type, name: str) -> Plan | None:
    """Return the plan of a type that pydantic or msgspec knows, None for any other."""
    pydantic: Any = sys.modules.get("pydantic")
    if pydantic is not None and hasattr(cls, "__get_pydantic_core_schema__"):
        return _pydantic_plan(pydantic, type_, cls, name)
    msgspec: Any = sys.modules.get("msgspec")
    if msgspec is not None and issubclass(cls, msgspec.Struct):
        return _msgspec_plan(msgspec, type_, cls, name)
    return None


# ---------------------------------------------------------------- pydantic


def _pydantic_plan(pydantic: Any, type_: Any, cls: type, name: str) -> Plan:
    adapter = pydantic.TypeAdapter(type_)
    is_model = issubclass(cls, pydantic.BaseModel)
    plain = is_model and not issubclass(cls, pydantic.RootModel)
    schema = repr(adapter.core_schema)
    has_sets = any(f"'type': '{kind}'" in schema for kind in ("set", "frozenset", "any"))

    def dumped(value: Any, mode: str) -> Any:
        return adapter.dump_python(value, mode=mode, by_alias=True, round_trip=True, warnings="error")

    def write(value: Any) -> Any:
        try:
            written = dumped(value, "json")
            return _in_order(written, dumped(value, "python")) if has_sets else written
        except pydantic.PydanticUserError:
            raise
        except Exception as error:  # a serializer of the model may raise what it likes
            raise Misfit(f"pydantic can't write this {name}: {_one_line(error)}") from error

    def load(value: Any) -> Any:
        try:
            return adapter.validate_json(_json_text(value), by_alias=True, by_name=True)
        except pydantic.ValidationError as error:
            raise _pydantic_misfit(error, name) from error

    def fields() -> Fields:
        found: dict[str, Any] = getattr(cls, "model_fields", {})
        aliased = {_alias_of(each, info): info for each, info in found.items()}
        return Fields(frozenset(aliased), frozenset(key for key, info in aliased.items() if info.is_required()))

    return Plan(
        name=name,
        dump=_checked(cls if is_model else None, name, write, load),
        load=load,
        writes=_OBJECT if plain else _EVERYTHING,
        exact=frozenset({cls}),
        inline=plain,
        fields=fields if plain else None,
    )


def _in_order(written: Any, meant: Any) -> Any:
    """Return JSON in which what was `meant` as a set is in order. Both were written of one value, in its order."""
    if is_list(written) and _is_row(meant) and len(meant) == len(written):
        members = [_in_order(one, other) for one, other in zip(written, meant, strict=True)]
        return sorted(members, key=text.write) if isinstance(meant, set | frozenset) else members
    if is_object(written) and is_object(meant) and len(meant) == len(written):
        pairs = zip(written.items(), meant.values(), strict=True)
        return {key: _in_order(item, other) for (key, item), other in pairs}
    return written


def _is_row(value: Any) -> TypeGuard[Collection[Any]]:
    return isinstance(value, list | tuple | set | frozenset)


def _alias_of(name: str, info: Any) -> str:
    alias = info.validation_alias or info.alias
    return alias if isinstance(alias, str) else name


def _pydantic_misfit(error: Any, name: str) -> Misfit:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    misfit = Misfit(f"{name} refuses it: {first['msg']}")
    for step in reversed(first["loc"]):
        misfit.inside(f"[{step}]" if isinstance(step, int) else f".{step}")
    return misfit


def _json_text(value: Any) -> bytes:
    """Return the JSON text of a value for pydantic, with the numbers that JSON lacks as its parser reads them."""
    raw = text.write(value)
    return json.dumps(_UNTYPED.load(value)).encode() if text.SENTINEL_END in raw else raw


# ---------------------------------------------------------------- msgspec


def _msgspec_plan(msgspec: Any, type_: Any, cls: type, name: str) -> Plan:
    config: Any = getattr(cls, "__struct_config__")  # noqa: B009 - msgspec is not known to type checkers here
    rows: bool = config.array_like
    has_sets = "SetType" in repr(msgspec.inspect.type_info(type_))

    def write(value: Any) -> Any:
        try:
            return msgspec.to_builtins(value, str_keys=True, order="deterministic" if has_sets else None)
        except Exception as error:  # what it can't write, or a hook that fails
            raise Misfit(f"msgspec can't write this {name}: {_one_line(error)}") from error

    def load(value: Any) -> Any:
        try:
            return msgspec.convert(_UNTYPED.load(value), type_, str_keys=True)
        except msgspec.ValidationError as error:
            raise _msgspec_misfit(str(error), name) from error

    def fields() -> Fields:
        found = msgspec.structs.fields(cls)
        tag: list[str] = [config.tag_field] if config.tag_field else []
        return Fields(
            frozenset([*tag, *(each.encode_name for each in found)]),
            frozenset([*tag, *(each.encode_name for each in found if each.required)]),
        )

    return Plan(
        name=name,
        dump=_checked(cls, name, write, load),
        load=load,
        writes=_LIST if rows else _OBJECT,
        exact=frozenset({cls}),
        inline=not rows,
        fields=None if rows else fields,
    )


def _msgspec_misfit(said: str, name: str) -> Misfit:
    found = _AT.search(said)
    misfit = Misfit(f"{name} refuses it: {said[: found.start()] if found else said}")
    steps: Iterable[str] = _STEP.findall(found["path"]) if found else ()
    for step in reversed(list(steps)):
        misfit.inside(step)
    return misfit


# ---------------------------------------------------------------- both


def _checked(
    cls: type | None, name: str, write: Callable[[Any], Any], load: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """Return a `dump` that reads back what it writes."""

    def dump(value: Any) -> Any:
        if cls is not None and type(value) is not cls:
            hint = None
            if isinstance(value, cls):
                hint = f"Its own fields would be lost; declare {name} | {type(value).__qualname__}."
            raise wrong(value, name, hint=hint)
        out = _UNTYPED.dump(write(value))
        path = difference(value, load(out))
        if path is not None:
            hint = "Correct how it is written and read."
            raise Misfit(f"this part of a {name} does not come back equal", hint=hint).inside(path)
        return out

    return dump


def _one_line(error: Exception) -> str:
    return f"{error}".partition("\n")[0]
