"""placeholder"""

from resonate.core.insight.tree import Tree


def page(tree: Tree) -> str:
    return ""
