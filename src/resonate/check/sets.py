"""Which expressions are sets whose order may differ between processes.

Law 1: texts are hashed anew in each process, so a set of them has another order there; small numbers keep theirs, and
what a workflow starts (tasks, durable calls) is hashed by its place, so sets of those are as good as lists.
Law 2: a name is a set if all that it is ever bound to is one.
"""

from __future__ import annotations

import ast
from typing import Final

from resonate.check.scopes import Scope, inside

_ANNOTATIONS: Final = frozenset(
    {
        "set",
        "frozenset",
        "Set",
        "FrozenSet",
        "AbstractSet",
        "MutableSet",
        "KeysView",
    }
)
_ORDERED_ELEMENTS: Final = frozenset({"int", "bool", "None"})
_SET_METHODS: Final = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
_SET_OPERATORS: Final = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
_STARTERS: Final = frozenset(
    {
        "create_task",
        "ensure_future",
        "run",
        "begin_run",
        "rpc",
        "begin_rpc",
        "sleep",
        "sleep_until",
        "promise",
        "lfc",
        "lfi",
        "rfc",
        "rfi",
    }
)


def is_set(node: ast.expr, scope: Scope) -> bool:
    """Say whether an expression is a set whose order is not told by its elements."""
    match node:
        case ast.Set(elts=elements):
            return not all(_has_its_place(one) for one in elements)
        case ast.SetComp(elt=element):
            return not _has_its_place(element)
        case ast.Call(func=ast.Name(id="set" | "frozenset" as name), args=args) if scope.home(name) is None:
            return not (args and _of_places(args[0]))
        case ast.Call(func=ast.Attribute(value=value, attr=attr)):
            return attr in _SET_METHODS and is_set(value, scope)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _SET_OPERATORS):
            return any(is_set(side, scope) or _is_keys(side) for side in (left, right))
        case ast.Name(id=name):
            return _named(name, scope)
        case _:
            return False


def _named(name: str, scope: Scope) -> bool:
    home = scope.home(name)
    if home is None or name in home.imports:
        return False
    if name in home.annotations:
        return _declared(home.annotations[name])
    bound = home.values.get(name) or [None]
    if home.node is not None and _filled_with_places(name, home):
        return False
    return all(value is not None and not _mentions(value, name) and is_set(value, home) for value in bound)


def _declared(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return False
    elements: ast.expr | None = None
    if isinstance(annotation, ast.Subscript):
        elements = annotation.slice
        annotation = annotation.value
    name = annotation.attr if isinstance(annotation, ast.Attribute) else getattr(annotation, "id", "")
    if name not in _ANNOTATIONS:
        return False
    return not (elements is not None and _ordered_type(elements))


def _ordered_type(node: ast.expr) -> bool:
    while isinstance(node, ast.Subscript):
        node = node.value
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in _ORDERED_ELEMENTS or name in {"Task", "Future", "Durable"}


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def _has_its_place(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=int()):
            return True
        case ast.Call(func=ast.Attribute(attr=attr)):
            return attr in _STARTERS
        case ast.Call(func=ast.Name(id=name)):
            return name in _STARTERS or name in {"int", "len", "ord", "round"}
        case _:
            return False


def _of_places(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="range")):
            return True
        case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element):
            return _has_its_place(element)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return bool(elements) and all(_has_its_place(one) for one in elements)
        case _:
            return False


def _filled_with_places(name: str, home: Scope) -> bool:
    """Say whether all that is ever added to an empty set is what a workflow starts, or numbers."""
    assert home.node is not None
    added: list[ast.expr] = []
    for node in inside(home.node.body):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=found), attr="add"), args=[element]) if found == name:
                added.append(element)
            case _:
                pass
    return bool(added) and all(_has_its_place(one) or _names_a_place(one, home) for one in added)


def _names_a_place(node: ast.expr, home: Scope) -> bool:
    if not isinstance(node, ast.Name):
        return False
    bound = home.values.get(node.id) or [None]
    return all(value is not None and _has_its_place(value) for value in bound)


def _mentions(node: ast.expr, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))
