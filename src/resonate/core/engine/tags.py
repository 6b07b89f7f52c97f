"""The tags of the promises that a workflow asks for.

Law 1: what others read of a promise (who may wait for it, whose history it is part of) is said here, by its role.
Law 2: a store that preloads by branch, and repeats the branch in its reply to every write, is given no branch to
    repeat: each promise is a branch of its own there, and the execution that it belongs to stands in another tag.
Law 3: origin, parent and branch are prefixes of the id that they are said of: servers refuse others.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from attrs import frozen

from resonate.core import ids
from resonate.core.engine.children import LOCAL, Child, Role
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import PromiseRecord, Tag


@frozen(kw_only=True)
class Place:
    """Where an execution stands.

    Args:
        id: the execution's own.
        origin: the root of its ids.
        branch: what its history is kept under; None where each promise is a branch of its own.
        separator: the dialect's.
    """

    id: str
    origin: str
    branch: str | None
    separator: str

    @classmethod
    def of(cls, promise: PromiseRecord, dialect: Dialect) -> Place:
        """Return where the execution of `promise` stands."""
        branch = promise.tags.get(Tag.BRANCH, promise.id) if dialect.whole_preload else None
        origin = ids.origin(promise.id, dialect.separator)
        return cls(id=promise.id, origin=origin, branch=branch, separator=dialect.separator)


def tags_of(child: Child, place: Place, more: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the tags of a child's promise, which nobody changes any more: its own, and `more`.

    What runs in the same scope under one branch has equal tags, and shares them.
    """
    if child.role not in LOCAL or more or place.branch is None:
        return MappingProxyType(_tags_of(child, place, more))
    scope = child.scope
    if scope.local_tags is None:
        scope.local_tags = MappingProxyType(_tags_of(child, place, more))
    shared: Mapping[str, str] = scope.local_tags
    return shared


def _tags_of(child: Child, place: Place, more: Mapping[str, str] | None) -> dict[str, str]:
    # Where servers check it, an id that somebody chose may not lie below its workflow's.
    above = place.branch is not None or ids.is_below(child.id, child.scope.id, place.separator)
    tags = {
        **(more or {}),
        Tag.ORIGIN: place.origin,
        Tag.PARENT: child.scope.id if above else place.origin,
        **_history(child.id, place),
    }
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


def own_tags(promise_id: str, parent_id: str, place: Place) -> dict[str, str]:
    """Return the tags of a promise that the engine makes for itself: a timer, whether or not it is ever awaited."""
    return {
        Tag.ORIGIN: place.origin,
        Tag.PARENT: parent_id,
        Tag.SCOPE: "global",
        Tag.TIMER: "true",
        **_history(promise_id, place),
    }


def _history(promise_id: str, place: Place) -> dict[str, str]:
    if place.branch is not None:
        return {Tag.BRANCH: place.branch}
    return {Tag.BRANCH: promise_id, Tag.HOME: place.id}
