"""Checks one module: finds its workflows, looks through each, and through what they call."""

from __future__ import annotations

import ast

from resonate.check.body import Body, Report, untyped
from resonate.check.findings import Finding
from resonate.check.noqa import heard
from resonate.check.rules import UNTYPED, Rule
from resonate.check.scopes import FunctionNode, Scope, module_scope
from resonate.check.workflows import context_of, functions, is_registered, is_workflow, knows_resonate


def check_source(source: str, path: str = "<source>") -> list[Finding]:
    """Return what is found in a module's source, in the order of the lines. Raise `SyntaxError` if it is none."""
    return _Module(source, path).findings()


class _Module:
    def __init__(self, source: str, path: str) -> None:
        self._source = source
        self._path = path
        tree = ast.parse(source, path)
        module = module_scope(tree)
        self._scopes = list(functions(tree, module))
        self._by_node: dict[FunctionNode, Scope] = {
            scope.node: scope for scope in self._scopes if scope.node is not None
        }
        self._related = knows_resonate([module, *self._scopes])
        self._found: dict[tuple[int, int, str], tuple[Finding, int]] = {}
        self._looked_at: set[FunctionNode] = set()

    def findings(self) -> list[Finding]:
        workflows = [scope for scope in self._scopes if is_workflow(scope, related=self._related)]
        self._looked_at.update(scope.node for scope in workflows if scope.node is not None)
        for scope in workflows:
            node = scope.node
            assert node is not None
            if node.returns is None:
                untyped(self._reporter(node.name, None), node, "workflow")
            self._look(scope, scope, node.name)
        if self._related:
            self._look_at_registered()
        return heard(sorted(self._found.values()), self._source)

    def _look_at_registered(self) -> None:
        for scope in self._scopes:
            node = scope.node
            if node is not None and node not in self._looked_at and is_registered(scope) and node.returns is None:
                untyped(self._reporter(node.name, None), node, "step")

    def _look(self, scope: Scope, root: Scope, workflow: str) -> None:
        """Look through a function that runs in a workflow."""
        node = scope.node
        assert node is not None
        contexts: set[str] = set()
        around: Scope | None = scope
        while around is not None and around.node is not None:
            context = context_of(around, related=self._related)
            if context is not None:
                contexts.add(context)
            around = around.parent

        def follow(called: FunctionNode) -> None:
            if called in self._looked_at:
                return
            self._looked_at.add(called)
            own = self._by_node[called]
            self._look(own, root if own.lies_in(root) else own, workflow)

        report = self._reporter(workflow, node.name if node.name != workflow else None)
        Body(scope, root, contexts, report, follow).look()

    def _reporter(self, workflow: str, helper: str | None) -> Report:
        def report(node: ast.AST, rule: Rule, text: str, cure: str) -> None:
            line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
            end = line if rule is UNTYPED else getattr(node, "end_lineno", None) or line
            if helper is not None and rule is not UNTYPED:
                text = f"{text[:-1]} (the workflow {workflow} calls {helper})."
            finding = Finding(self._path, line, column, rule.code, text, cure, workflow)
            self._found.setdefault((line, column, rule.code), (finding, end))

        return report
