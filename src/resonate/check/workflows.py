"""Which functions of a module are workflows.

Law 1: as at registration: a first parameter that is declared as a Context makes a workflow, and so does one that is
declared as nothing and named `ctx` or `context`; and it is `async def`, or a generator function.
Law 2: a name alone does so only in a module that has to do with resonate: other libraries have a `ctx`, too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from resonate.check.scopes import FUNCTIONS, FunctionNode, Scope, function_scope, inside

_NAMES: Final = frozenset({"ctx", "context"})


def functions(tree: ast.Module, module: Scope) -> Iterator[Scope]:
    """Yield the scope of every function, outer ones first."""
    waiting: list[tuple[ast.AST, Scope, ast.ClassDef | None]] = [(tree, module, None)]
    while waiting:
        node, scope, owner = waiting.pop()
        found: list[tuple[ast.AST, Scope, ast.ClassDef | None]] = []
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FUNCTIONS):
                own = function_scope(child, scope, owner)
                yield own
                found.append((child, own, None))
            else:
                found.append((child, scope, child if isinstance(child, ast.ClassDef) else owner))
        waiting.extend(reversed(found))


def knows_resonate(scopes: list[Scope]) -> bool:
    """Say whether a module has to do with resonate: it imports it, or registers functions."""
    for scope in scopes:
        if any(name.split(".")[0] == "resonate" for name in scope.imports.values()):
            return True
    return any(is_registered(scope) and context_of(scope, related=True) is not None for scope in scopes)


def is_registered(scope: Scope) -> bool:
    """Say whether a function is decorated with `x.register`, x not being a function (`functools.singledispatch`)."""
    for decorator in () if scope.node is None else scope.node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Attribute) and called.attr == "register":
            owner = called.value
            return not (isinstance(owner, ast.Name) and scope.function(owner.id) is not None)
    return False


def context_of(scope: Scope, *, related: bool) -> str | None:
    """Return the name of a function's Context parameter, None if it takes none; `related`: see `knows_resonate`."""
    node = scope.node
    assert node is not None
    args = [*node.args.posonlyargs, *node.args.args]
    if scope.owner is not None and not _is_static(node):
        args = args[1:]
    if not args:
        return None
    first = args[0]
    if first.annotation is None:
        return first.arg if related and first.arg in _NAMES else None
    return first.arg if _is_context(first.annotation, scope, related=related) else None


def is_workflow(scope: Scope, *, related: bool) -> bool:
    """Say whether a function is a workflow."""
    node = scope.node
    if node is None or context_of(scope, related=related) is None:
        return False
    yields = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in inside(node.body))
    return not yields if isinstance(node, ast.AsyncFunctionDef) else yields


def _is_static(node: FunctionNode) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list)


def _is_context(annotation: ast.expr, scope: Scope, *, related: bool) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return False
    found = scope.dotted(annotation)
    if found is None:
        return related and isinstance(annotation, ast.Name) and annotation.id == "Context"
    module, _, name = found.rpartition(".")
    if name != "Context":
        return False
    return module.split(".")[0] == "resonate" or (related and module.startswith("."))
