"""Unions: untagged where the JSON alone tells the members apart, tagged where it does not.

`int | str | None` is plain JSON. Of members that JSON writes alike, its own scalars stay bare and the others carry
their name: classes with fields as `{"$type": "Card", "number": ...}`, the rest as `{"$type": "UUID", "value": ...}`.
An object without a name, as another SDK writes it, is read as the one member that its fields fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import frozen

from resonate.adapters.codecs.plan import NULL, SIXTY_FOUR_BITS, Convert, Misfit, Plan, class_of, is_object, kind, wrong

TAG: Final = "$type"
VALUE: Final = "value"

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_OBJECT: Final[frozenset[type]] = frozenset({dict})


@frozen(kw_only=True, eq=False)
class _Member:
    plan: Plan
    dump: Convert
    tagged: bool


def optional_plan(name: str, inner: Plan) -> Plan:
    """Return the plan of `T | None`, where T never writes null."""
    dump_inner, load_inner = inner.dump, inner.load

    def dump(value: Any) -> Any:
        return None if value is None else dump_inner(value)

    def load(value: Any) -> Any:
        return None if value is None else load_inner(value)

    bare: frozenset[type] = inner.bare | {NULL} if inner.bare else inner.bare
    return Plan(name=name, dump=dump, load=load, writes=inner.writes | {NULL}, reads=inner.reads, bare=bare)


def union_plan(name: str, plans: list[Plan], former: Mapping[str, str] = _NOTHING) -> Plan:
    """Return the plan of a union; `former` has the names that members had when older values were written."""
    members = _members(sorted(plans, key=lambda plan: plan.name))  # by name: two spellings of a union are one type
    by_class = _by_class(members)
    by_json = _by_json(members)
    by_tag = {member.plan.name: member.plan for member in members if member.tagged}
    if len(by_tag) != sum(member.tagged for member in members):
        raise Misfit(f"two members of {name} have the same name")
    by_tag = {old: by_tag[now] for old, now in former.items() if now in by_tag} | by_tag
    objects = [member.plan for member in members if dict in member.plan.writes]
    kinds = Counter(json for plan in plans for json in plan.writes)

    def checked(member: _Member, value: Any) -> Any:
        written = member.dump(value)
        if type(written) is str and float in member.plan.writes and kinds[str]:
            raise Misfit(f"{value!r} can't be told from text in {name}")
        if type(written) is int and kinds[float] and written not in SIXTY_FOUR_BITS:
            raise Misfit(f"an int beyond 64 bits can't be told from a float in {name}")
        return written

    def dump(value: Any) -> Any:
        cls = class_of(value)
        if cls in by_class:
            return checked(by_class[cls], value)
        deepest: Misfit | None = None
        for member in members:
            try:
                return checked(member, value)
            except Misfit as misfit:
                if deepest is None or len(misfit.path) > len(deepest.path):
                    deepest = misfit
        if deepest is not None and deepest.path:
            raise deepest
        raise wrong(value, name)

    def load(value: Any) -> Any:
        if by_tag and is_object(value):
            plan = None if TAG in value else _by_fields(value, objects)
            return _load_tagged(value, by_tag, name) if plan is None else plan.load(value)
        cls = class_of(value)
        plan = by_json.get(cls)
        if plan is None:
            raise wrong(value, name)
        return plan.load(value)

    writes = {json for member in members for json in (_OBJECT if member.tagged else member.plan.writes)}
    return Plan(name=name, dump=dump, load=load, writes=frozenset(writes), reads=frozenset(by_json.keys() - writes))


def _members(plans: list[Plan]) -> list[_Member]:
    kinds = Counter(json for plan in plans for json in plan.writes)
    clashing = {json for json, count in kinds.items() if count > 1}
    tagged = [not plan.native and bool(plan.writes & clashing) for plan in plans]
    if any(tagged):  # a tag is an object: an untagged object beside it could be taken for one
        tagged = [yes or dict in plan.writes for yes, plan in zip(tagged, plans, strict=True)]
    return [
        _Member(plan=plan, dump=_tagging(plan) if yes else plan.dump, tagged=yes)
        for yes, plan in zip(tagged, plans, strict=True)
    ]


def _tagging(plan: Plan) -> Convert:
    if plan.inline:
        return lambda value: {TAG: plan.name, **plan.dump(value)}
    return lambda value: {TAG: plan.name, VALUE: plan.dump(value)}


def _by_class(members: list[_Member]) -> dict[type, _Member]:
    """Map the classes that only one member claims."""
    claims = Counter(cls for member in members for cls in member.plan.exact)
    return {cls: member for member in members for cls in member.plan.exact if claims[cls] == 1}


def _by_json(members: list[_Member]) -> dict[type, Plan]:
    """Map JSON's types to the untagged member that writes it, else to the one that can read it."""
    bare = [member.plan for member in members if not member.tagged]
    found = {json: plan for plan in bare for json in plan.reads}
    return found | {json: plan for plan in bare for json in plan.writes}


def _by_fields(value: dict[str, Any], objects: list[Plan]) -> Plan | None:
    """Return the one member that an object without a tag can be, by its fields; None if that is not certain."""
    if len(objects) == 1:
        return objects[0]
    keys = value.keys()
    fitting = [(plan, plan.fields()) for plan in objects if plan.fields is not None]
    if len(fitting) < len(objects):
        return None  # a dict, say, can be anything
    fitting = [(plan, fields) for plan, fields in fitting if fields.required <= keys]
    exact = [(plan, fields) for plan, fields in fitting if keys <= fields.known]
    found = exact or fitting  # a newer sender may have fields that nobody here knows
    return found[0][0] if len(found) == 1 else None


def _load_tagged(value: dict[str, Any], by_tag: dict[str, Plan], name: str) -> Any:
    tag = value.get(TAG)
    plan = by_tag.get(tag) if isinstance(tag, str) else None
    if plan is None:
        said = f"the tag {tag!r:.60}" if TAG in value else f"an object without {TAG!r}"
        raise Misfit(f"{said} where {name} is declared", hint=f"Tags are {', '.join(by_tag)}.")
    if plan.inline:
        return plan.load({key: item for key, item in value.items() if key != TAG})
    if VALUE not in value:
        raise Misfit(f"a tagged {kind(value)} without {VALUE!r} where {name} is declared")
    return plan.load(value[VALUE])
