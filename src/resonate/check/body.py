"""Looks through a workflow's body, and through the functions of its module that it calls.

Law 1: what a durable call is given to run (a function, a lambda) is a step and is not looked at; what its arguments
compute is computed in the workflow, and is.
Law 2: a function that is called as a function runs in the workflow, and is looked at once, for its first caller.
Law 3: state that a run makes is its own; what was there before the run began is outside.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, field

from resonate.check import rules
from resonate.check.known import ATTRIBUTES, METHODS, NEEDS_SEED, NO_ARGUMENTS, called
from resonate.check.rules import Rule
from resonate.check.scopes import FUNCTIONS, FunctionNode, Scope, inside
from resonate.check.sets import is_set

Report = Callable[[ast.AST, Rule, str, str], None]

SAYS: Final[Mapping[Rule, str]] = {
    rules.CLOCK: "reads a clock: a replay reads another time.",
    rules.RANDOM: "gives another value in each replay.",
    rules.IO: "does I/O, which a replay does again.",
    rules.OUTPUT: "puts out the same again in each replay.",
    rules.BLOCKING: "blocks the worker, and ends with it.",
    rules.LEAVES: "leaves the workflow's own loop, where nothing is recorded.",
    rules.PROCESS: "depends on the process, and a replay may run in another.",
    rules.ADDRESS: "gives another number in each process.",
}

CALLS: Final = frozenset({"run", "begin_run", "rpc", "begin_rpc", "lfc", "lfi", "rfc", "rfi", "detached", "map"})
"""Methods of a Context that are given a function to run."""
AWAITED: Final = CALLS - {"detached"} | {"sleep", "sleep_until", "promise", "race", "now"}
"""Methods of a Context whose result is to be awaited; a detached execution is nobody's to wait for."""
CLIENT_CALLS: Final = frozenset({
    "run", "begin_run", "rpc", "begin_rpc", "get", "schedule", "cancel", "create", "resolve", "reject", "search",
    "delete", "prune", "result",
})  # fmt: skip
CLIENTS: Final = ("resonate.Resonate()", "resonate.client.Resonate()", "resonate.sync.Resonate()")

MUTATORS: Final = frozenset({
    "append", "appendleft", "extend", "extendleft", "insert", "add", "update", "discard", "remove", "pop", "popleft",
    "popitem", "clear", "setdefault", "sort", "reverse", "subtract", "difference_update", "intersection_update",
    "symmetric_difference_update", "rotate",
})  # fmt: skip
MUTABLE: Final = frozenset({"list", "dict", "set", "deque", "defaultdict", "Counter", "OrderedDict", "bytearray"})

IN_ORDER: Final = frozenset({"list", "tuple", "iter", "next", "enumerate", "zip", "map", "filter"})
"""Builtins that hand on the order of what they are given."""
NO_ORDER: Final = frozenset({"sorted", "sum", "any", "all", "min", "max", "set", "frozenset", "len"})

LONGEST: Final = 60
"""So much of an expression is shown."""


@define(eq=False)
class Body(ast.NodeVisitor):
    """Visits one function that runs in a workflow.

    Args:
        scope: the function's.
        root: the function that this run began with: what lies outside of it is not the run's own.
        contexts: names of the Context here, and of what `ctx.options` gave.
        report: takes node, rule, text and cure.
        follow: is told of each function of the module that is called.
    """

    scope: Scope
    root: Scope
    contexts: set[str]
    report: Report
    follow: Callable[[FunctionNode], None]
    _given: set[int] = field(factory=set[int])  # what a durable call is to run: lambdas
    _orderless: set[int] = field(factory=set[int])  # comprehensions whose order nobody sees

    def look(self) -> None:
        """Look through the whole body."""
        node = self.scope.node
        assert node is not None
        for one in inside(node.body):
            match one:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if self._is_context(value):
                    self.contexts.add(name)
                case _:
                    pass
        for statement in node.body:
            self.visit(statement)

    def _say(self, node: ast.AST, rule: Rule, text: str) -> None:
        self.report(node, rule, text, rule.cure)

    # ------------------------------------------------------------ what is not run here

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Pass over a function that is only defined here."""
        self._head(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """Pass over a function that is only defined here."""
        self._head(node)

    def _head(self, node: FunctionNode) -> None:
        for expression in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if expression is not None:
                self.visit(expression)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Pass over a class, but for its decorators and bases."""
        for expression in (*node.decorator_list, *node.bases):
            self.visit(expression)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Look into a lambda, unless a durable call runs it."""
        if id(node) not in self._given:
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Pass over the annotation, which is not evaluated in a function."""
        self._changes(node.target)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    # ------------------------------------------------------------ calls

    def visit_Call(self, node: ast.Call) -> None:
        """Look at a call."""
        durable = self._durable(node)
        if durable is not None:
            if durable in CALLS:
                self._given.update(id(arg) for arg in node.args if isinstance(arg, ast.Lambda))
                self._step(node)
            if durable in {"map", "race"}:
                self._ordered([arg.value if isinstance(arg, ast.Starred) else arg for arg in node.args])
            self._starred(node)
        else:
            self._plain_call(node)
        self.generic_visit(node)

    def _plain_call(self, node: ast.Call) -> None:
        name = self.scope.dotted(node.func)
        if name is None or not self._known(node, name):
            self._method(node)
        self._consumes(node, name)
        self._starred(node)
        self._follow(node.func)

    def _known(self, node: ast.Call, name: str) -> bool:
        """Report a call of something known; return whether there is nothing more to say about it."""
        if name.startswith(CLIENTS) and name.rpartition(".")[2] in CLIENT_CALLS:
            self._say(node, rules.CLIENT, f"{_text(node.func)}() uses a client, which a workflow can't.")
            return True
        if (name in NEEDS_SEED and (node.args or node.keywords)) or (name in NO_ARGUMENTS and node.args):
            return True
        rule = rules.RANDOM if name in NEEDS_SEED else called(name)
        if rule is not None:
            self._say(node, rule, f"{_text(node.func)}() {SAYS[rule]}")
        return rule is not None

    def _method(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Attribute):
            return
        attr, owner = node.func.attr, node.func.value
        rule = METHODS.get(attr)
        if rule is not None:
            self._say(node, rule, f"{_text(node.func)}() {SAYS[rule]}")
        elif attr in MUTATORS and self._is_outer_container(owner):
            self._changed(node, owner)
        elif attr == "pop" and not node.args and is_set(owner, self.scope):
            self._say(node, rules.SETS, f"{_text(node.func)}() takes whichever is first in the set's order.")

    def _follow(self, func: ast.expr) -> None:
        match func:
            case ast.Name(id=name):
                found = self.scope.function(name)
                if found is not None:
                    self.follow(found[0])
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name == self._self():
                owner = self._class()
                for method in owner.body if owner is not None else ():
                    if isinstance(method, FUNCTIONS) and method.name == attr:
                        self.follow(method)
            case _:
                pass

    def _step(self, node: ast.Call) -> None:
        """Look at the function that a durable call runs, if it is one of this module's."""
        if node.args and isinstance(node.args[0], ast.Name):
            found = self.scope.function(node.args[0].id)
            if found is not None and found[0].returns is None:
                untyped(self.report, found[0], "step")

    def _durable(self, node: ast.Call) -> str | None:
        """Return which method of the Context is called, if one is."""
        func = node.func
        return func.attr if isinstance(func, ast.Attribute) and self._is_context(func.value) else None

    def _is_context(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self.contexts
            case ast.Call(func=ast.Attribute(value=value, attr="options")):
                return self._is_context(value)
            case _:
                return False

    def visit_Expr(self, node: ast.Expr) -> None:
        """Look at a statement whose value nobody takes."""
        if isinstance(node.value, ast.Call):
            durable = self._durable(node.value)
            if durable in AWAITED:
                text = f"The result of {_text(node.value.func)}(...) is dropped, and its failure with it."
                self._say(node, rules.DROPPED, text)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Look at something that is read."""
        name = self.scope.dotted(node)
        rule = None if name is None else ATTRIBUTES.get(name)
        if rule is not None:
            self._say(node, rule, f"{_text(node)} {SAYS[rule]}")
            return
        self.generic_visit(node)

    # ------------------------------------------------------------ order

    def visit_For(self, node: ast.For) -> None:
        """Look at what is iterated over."""
        self._ordered([node.iter])
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        """As a loop."""
        self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        """As a loop."""
        self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        """As a loop."""
        self._comprehension(node)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> None:
        if id(node) not in self._orderless:
            self._ordered([generator.iter for generator in node.generators])
        self.generic_visit(node)

    def _consumes(self, node: ast.Call, name: str | None) -> None:
        if name in NO_ORDER or name in {"collections.Counter", "statistics.mean", "math.fsum"}:
            self._orderless.update(id(arg) for arg in node.args)
        if (
            name in IN_ORDER
            or name in {"asyncio.as_completed", "dict.fromkeys"}
            or (isinstance(node.func, ast.Attribute) and node.func.attr == "join")
        ):
            self._ordered(node.args)

    def _starred(self, node: ast.Call) -> None:
        if self.scope.dotted(node.func) not in NO_ORDER:
            self._ordered([arg.value for arg in node.args if isinstance(arg, ast.Starred)])

    def _ordered(self, nodes: list[ast.expr]) -> None:
        for node in nodes:
            if is_set(node, self.scope):
                self._say(node, rules.SETS, f"{_text(node)} is a set: its order is another one in each process.")

    # ------------------------------------------------------------ state outside

    def visit_Assign(self, node: ast.Assign) -> None:
        """Look at what is assigned to."""
        for target in node.targets:
            self._changes(target)
        if any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
            self._ordered([node.value])
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """Look at what is changed."""
        self._changes(node.target)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        """Look at what is deleted."""
        for target in node.targets:
            self._changes(target)
        self.generic_visit(node)

    def _changes(self, target: ast.expr) -> None:
        match target:
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for one in targets:
                    self._changes(one)
            case ast.Starred(value=value):
                self._changes(value)
            case ast.Name(id=name):
                if name in self.scope.outer and self._is_outside(name):
                    self._changed(target, target)
            case ast.Subscript(value=value) | ast.Attribute(value=value):
                root = _root(value)
                if root is not None and (self._is_outside(root) or root == self._self()):
                    self._changed(target, target)
            case _:
                pass

    def _changed(self, node: ast.AST, what: ast.expr) -> None:
        text = f"{_text(what)} is outside of the workflow, and each replay changes it again."
        self._say(node, rules.OUTER, text)

    def _is_outside(self, name: str) -> bool:
        home = self.scope.home(name)
        return home is not None and not home.lies_in(self.root)

    def _is_outer_container(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Name):
            return _root(node) == self._self() is not None
        home = self.scope.home(node.id)
        if home is None or home.lies_in(self.root) or node.id in home.imports:
            return False
        return any(_is_container(value) for value in home.values.get(node.id, ()))

    def _self(self) -> str | None:
        """Return what the object is called whose method this is, or the method around it."""
        scope: Scope | None = self.scope
        while scope is not None and scope.owner is None:
            scope = scope.parent
        if scope is None or scope.node is None:
            return None
        args = [*scope.node.args.posonlyargs, *scope.node.args.args]
        return args[0].arg if args and args[0].arg in {"self", "cls"} else None

    def _class(self) -> ast.ClassDef | None:
        scope: Scope | None = self.scope
        while scope is not None and scope.owner is None:
            scope = scope.parent
        return None if scope is None else scope.owner

    # ------------------------------------------------------------ errors

    def visit_Try(self, node: ast.Try) -> None:
        """Look at what is caught."""
        waits = any(isinstance(one, ast.Await | ast.Yield | ast.YieldFrom) for one in inside(node.body))
        for handler in node.handlers if waits else ():
            if _catches_all(handler) and not any(isinstance(one, ast.Raise) for one in inside(handler.body)):
                caught = "except:" if handler.type is None else f"except {_text(handler.type)}:"
                self._say(
                    handler, rules.SWALLOWS, f"`{caught}` without a raise also keeps a cancellation from working."
                )
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        """Look at what is suppressed."""
        for item in node.items:
            match item.context_expr:
                case ast.Call(func=func, args=args) if self.scope.dotted(func) == "contextlib.suppress":
                    if any(_text(arg) == "BaseException" for arg in args):
                        text = "suppress(BaseException) also keeps a cancellation from working."
                        self._say(item.context_expr, rules.SWALLOWS, text)
                case _:
                    pass
        self.generic_visit(node)


def untyped(report: Report, node: FunctionNode, kind: str) -> None:
    """Report a function that does not say what it returns."""
    text = f"The {kind} {node.name} has no return annotation, so its result comes back untyped."
    report(node, rules.UNTYPED, text, rules.UNTYPED.cure)


def _catches_all(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(one is None or _text(one) == "BaseException" for one in caught)


def _is_container(node: ast.expr | None) -> bool:
    match node:
        case ast.List() | ast.Dict() | ast.Set() | ast.ListComp() | ast.DictComp() | ast.SetComp():
            return True
        case ast.Call(func=ast.Subscript(value=func)) | ast.Call(func=func):
            name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
            return name in MUTABLE
        case _:
            return False


def _root(node: ast.expr) -> str | None:
    """Return the name that a chain of attributes and subscripts begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _text(node: ast.expr) -> str:
    text = ast.unparse(node).replace("\n", " ")
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
