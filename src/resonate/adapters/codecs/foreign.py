"""Types that a user's cattrs converter knows how to write and read."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from cattrs import Converter
from cattrs.errors import StructureHandlerNotFoundError

from resonate.adapters.codecs.plan import Misfit, Plan, wrong
from resonate.adapters.codecs.untyped import untyped_plan

_UNTYPED: Final = untyped_plan(careful=True)
_EVERYTHING: Final = frozenset({type(None), bool, int, float, str, list, dict})


def _no_hook(_value: Any, _type: Any) -> NoReturn:
    raise NotImplementedError


def _marked(converter: Converter) -> Converter:
    """Return a converter in which all that is not registered by class leads to one mark."""
    marked = converter.copy()
    marked.register_structure_hook_func(lambda _type: True, _no_hook)
    return marked


class Foreign:
    """A user's converter, and what can be learnt of it."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self._marked = _marked(converter)
        self._pristine = _marked(Converter())

    def overrides(self, cls: type) -> bool:
        """Whether the user registered a hook for this class or a base of it; it then goes before our own plan."""
        hook, default = self._marked.get_structure_hook(cls), self._pristine.get_structure_hook(cls)
        return hook is not _no_hook and getattr(hook, "__func__", hook) is not getattr(default, "__func__", default)

    def knows(self, cls: type) -> bool:
        """Whether the converter can read this class at all, by a predicate for instance."""
        try:
            self._converter.get_structure_hook(cls)
        except StructureHandlerNotFoundError:
            return False
        return True

    def plan(self, cls: type, name: str) -> Plan:
        """Return the plan of a class by its hooks; law 1 is kept by reading each value back."""
        unstructure, structure = self._converter.get_unstructure_hook(cls), self._converter.get_structure_hook(cls)

        def load(value: Any) -> Any:
            try:
                return structure(_UNTYPED.load(value), cls)
            except Exception as error:  # hooks raise what they like
                raise Misfit(f"the converter can't read {name}: {error}") from error

        def dump(value: Any) -> Any:
            if not isinstance(value, cls):
                raise wrong(value, name)
            try:
                written = unstructure(value)
            except Exception as error:  # hooks raise what they like
                raise Misfit(f"the converter can't write {name}: {error}") from error
            json = _UNTYPED.dump(written)
            back = load(json)
            if back != value and (type(back) is not type(value) or unstructure(back) != written):
                raise Misfit(f"this {name} does not come back equal", hint="Correct its converter's hooks.")
            return json

        return Plan(name=name, dump=dump, load=load, writes=_EVERYTHING, exact=frozenset({cls}))


def unknown_plan(name: str) -> Plan:
    """Return the plan of a type that nobody knows: it has no values."""
    return refused_plan(f"no way to write {name} is known", "Register hooks on a cattrs converter for JsonCodec.")


def refused_plan(text: str, hint: str) -> Plan:
    """Return the plan of a type that has no values, and say why."""

    def refuse(_value: Any) -> NoReturn:
        raise Misfit(text, hint=hint)

    return Plan(name=text, dump=refuse, load=refuse, writes=frozenset())
