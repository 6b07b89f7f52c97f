"""The tags of the promises that a workflow asks for.

Law 1: what others read of a promise (who may wait for it, whose history it is part of) is said here, by its role.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from attrs import frozen

from resonate.core.engine.children import Child, Role
from resonate.core.protocol.records import Tag


@frozen
class Place:
    """Where an execution stands: the origin of its ids, and the branch that its history is kept under."""

    origin: str
    branch: str


def tags_of(child: Child, place: Place, more: Mapping[str, str] | None) -> dict[str, str]:
    """Return the tags of a child's promise: its own, and `more`."""
    tags = {**(more or {}), Tag.ORIGIN: place.origin, Tag.PARENT: child.scope.id, Tag.BRANCH: place.branch}
    match child.role:
        case Role.STEP | Role.WORKFLOW:
            tags[Tag.SCOPE] = "local"
        case Role.REMOTE:
            tags |= {Tag.SCOPE: "global", Tag.BRANCH: child.id}
        case Role.DETACHED:
            tags |= {Tag.SCOPE: "global", Tag.ORIGIN: child.id, Tag.PARENT: child.id, Tag.BRANCH: child.id}
        case Role.TIMER:
            tags |= {Tag.SCOPE: "global", Tag.TIMER: "true"}
        case Role.RECORD:
            tags |= {Tag.SCOPE: "local", Tag.TIMER: "true"}
        case Role.PROMISE:
            tags |= {Tag.SCOPE: "global", Tag.EXTERNAL: "true"}
        case _:
            assert_never(child.role)
    return tags
