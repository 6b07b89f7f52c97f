"""What names stand for: imports, functions and values, in the module and in each function.

Law 1: a name is looked for where it is used, then outwards, then among the builtins, as Python does.
Law 2: what a name stands for is told only if there is one answer; else it is None, and nothing is said of it.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import Final, TypeAlias

from attrs import define, field

from resonate.check.known import called

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

MADE_HERE: Final = frozenset({"logging.getLogger()", "structlog.get_logger()"})
"""What is harmless to make in a workflow, and not to use; all else was reported where it was made, or is its own."""

BUILTINS: Final = frozenset(dir(builtins))


@define(eq=False)
class Scope:
    """A module's or a function's names.

    Args:
        parent: the scope around it.
        node: the function; None for the module.
        owner: the class that the function is a method of.
        imports: what imported names stand for, dotted.
        functions: functions that are defined here.
        values: every expression that a name is bound to here; None for one that says nothing (a loop's, a parameter).
        annotations: what a name is declared as.
        outer: names declared `global` or `nonlocal`.
    """

    parent: Scope | None = None
    node: FunctionNode | None = None
    owner: ast.ClassDef | None = None
    imports: dict[str, str] = field(factory=dict[str, str])
    functions: dict[str, FunctionNode] = field(factory=dict[str, FunctionNode])
    values: dict[str, list[ast.expr | None]] = field(factory=dict[str, "list[ast.expr | None]"])
    annotations: dict[str, ast.expr] = field(factory=dict[str, ast.expr])
    outer: set[str] = field(factory=set[str])

    def binds(self, name: str) -> bool:
        """Say whether a name is one of this scope's own."""
        return name in self.imports or name in self.functions or name in self.values

    def home(self, name: str) -> Scope | None:
        """Return the scope that a name belongs to; None if nobody binds it."""
        scope: Scope | None = self
        while scope is not None:
            if scope.binds(name) and name not in scope.outer:
                return scope
            scope = scope.parent
        return None

    def lies_in(self, other: Scope) -> bool:
        """Say whether this scope is `other`, or inside of it."""
        scope: Scope | None = self
        while scope is not None and scope is not other:
            scope = scope.parent
        return scope is other

    def function(self, name: str) -> tuple[FunctionNode, Scope] | None:
        """Return the function that a name stands for, and where it is defined."""
        home = self.home(name)
        if home is None or name not in home.functions or name in home.values:
            return None
        return home.functions[name], home

    def dotted(self, node: ast.expr) -> str | None:
        """Return what an expression stands for: `datetime.datetime.now`; `httpx.Client()` for what such a call made."""
        match node:
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(value=value, attr=attr):
                base = self.dotted(value)
                return None if base is None else f"{base}.{attr}"
            case ast.Call(func=func):
                base = self.dotted(func)
                return None if base is None or called(base) is not None else f"{base}()"
            case _:
                return None

    def _named(self, name: str) -> str | None:
        home = self.home(name)
        if home is None:
            return name if name in BUILTINS else None
        if name in home.imports:
            return home.imports[name]
        if name in home.functions:
            return None  # a function of this module: it is followed
        made = home.made(name)
        return made if home is not self or made in MADE_HERE else None

    def made(self, name: str) -> str | None:
        """Return what made the one value that a name is bound to."""
        bound = self.values[name]
        value = bound[0] if len(bound) == 1 else None
        if isinstance(value, ast.Await):
            value = value.value
        if not isinstance(value, ast.Call):
            return None
        maker = self.dotted(value.func)
        return None if maker is None else f"{maker}()"


def module_scope(tree: ast.Module) -> Scope:
    """Return a module's scope."""
    scope = Scope()
    _fill(scope, tree.body)
    return scope


def function_scope(node: FunctionNode, parent: Scope, owner: ast.ClassDef | None) -> Scope:
    """Return a function's scope."""
    scope = Scope(parent, node, owner)
    for arg in parameters(node):
        scope.values.setdefault(arg.arg, []).append(None)
        if arg.annotation is not None:
            scope.annotations[arg.arg] = arg.annotation
    _fill(scope, node.body)
    return scope


def parameters(node: FunctionNode) -> list[ast.arg]:
    """Return all parameters of a function."""
    args = node.args
    more = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *more]


def inside(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield all nodes of a body but those inside of other functions and classes, whose heads are yielded."""
    waiting: list[ast.AST] = list(reversed(body))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def _fill(scope: Scope, body: list[ast.stmt]) -> None:
    told: set[int] = set()

    def bind(name: str, value: ast.expr | None, node: ast.AST | None = None) -> None:
        scope.values.setdefault(name, []).append(value)
        told.add(id(node))

    for node in inside(body):
        match node:
            case ast.Import() | ast.ImportFrom():
                scope.imports.update(_imported(node))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                scope.functions[node.name] = node
            case ast.ClassDef():
                bind(node.name, None)
            case ast.Global() | ast.Nonlocal():
                scope.outer.update(node.names)
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                bind(name, value, target)
            case ast.AnnAssign(target=ast.Name(id=name) as target, value=value, annotation=annotation):
                bind(name, value, target)
                scope.annotations[name] = annotation
            case ast.NamedExpr(target=target, value=value):
                bind(target.id, value, target)
            case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name) as target):
                bind(name, value, target)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if id(node) not in told:
                bind(name, None)
            case ast.ExceptHandler(name=str(name)):
                bind(name, None)
            case _:
                pass


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            yield alias.asname or alias.name, f"{module}.{alias.name}"
        return
    for alias in node.names:
        top = alias.name.partition(".")[0]
        yield (alias.asname, alias.name) if alias.asname else (top, top)
