"""What `--json` prints: each value as a document of one stable shape.

Law 1: instants are epoch ms, named as in the protocol; what is not known or does not apply is null.
Law 2: keys may be added; none changes its meaning or goes.
"""

from __future__ import annotations

from typing import Any

from resonate.core.insight.causes import Cause, Why
from resonate.core.insight.tree import Node, Tree
from resonate.core.payload import Opaque, peek
from resonate.core.protocol.records import PromiseRecord, ScheduleRecord, TaskRecord, Value
from resonate.runtime.listing import Listed, Listing


def value_shape(value: Value) -> dict[str, Any]:
    """Return a payload: what it says as JSON, or why that is not shown."""
    found = peek(value)
    if isinstance(found, Opaque):
        return {"json": None, "opaque": found.reason, "headers": dict(value.headers), "data": value.data}
    return {"json": found, "opaque": None, "headers": dict(value.headers), "data": value.data}


def promise_shape(record: PromiseRecord) -> dict[str, Any]:
    """Return a promise."""
    return {
        "id": record.id,
        "state": record.state.value,
        "created_at": record.created_at,
        "settled_at": record.settled_at,
        "timeout_at": record.timeout_at,
        "tags": dict(record.tags),
        "param": value_shape(record.param),
        "value": value_shape(record.value),
    }


def task_shape(task: TaskRecord) -> dict[str, Any]:
    """Return a task."""
    return {
        "id": task.id,
        "state": task.state.value,
        "version": task.version,
        "resumes": task.resumes,
        "pid": task.pid,
        "ttl": task.ttl,
    }


def schedule_shape(schedule: ScheduleRecord) -> dict[str, Any]:
    """Return a schedule."""
    return {
        "id": schedule.id,
        "cron": schedule.cron,
        "promise_id": schedule.promise_id,
        "promise_timeout": schedule.promise_timeout,
        "promise_param": value_shape(schedule.promise_param),
        "promise_tags": dict(schedule.promise_tags),
        "created_at": schedule.created_at,
        "next_run_at": schedule.next_run_at,
        "last_run_at": schedule.last_run_at,
    }


def listed_shape(one: Listed) -> dict[str, Any]:
    """Return an execution of a list."""
    return {
        "id": one.id,
        "status": one.status.value,
        "function": one.function,
        "version": one.version,
        "group": one.group,
        "created_at": one.created_at,
        "settled_at": one.settled_at,
        "timeout_at": one.timeout_at,
        "attempts": one.attempts,
        "pid": one.pid,
    }


def listing_shape(listing: Listing) -> dict[str, Any]:
    """Return a page of executions."""
    return {"executions": [listed_shape(one) for one in listing.executions], "cursor": listing.cursor}


def tree_shape(tree: Tree) -> dict[str, Any]:
    """Return a tree, its nodes nested."""
    made: dict[str, dict[str, Any]] = {}
    for _, node in reversed([*tree.nodes()]):  # children before their parents
        made[node.id] = _node_shape(node, [made.pop(child.id) for child in node.children])
    return {"now": tree.now, "whole": tree.whole, "root": made[tree.root.id]}


def _node_shape(node: Node, children: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.kind.value,
        "state": node.state.value,
        "status": node.status.value,
        "function": node.function,
        "version": node.version,
        "group": node.group,
        "site": node.site,
        "created_at": node.created_at,
        "settled_at": node.settled_at,
        "timeout_at": node.timeout_at,
        "attempts": node.attempts,
        "pid": node.pid,
        "expires_at": node.expires_at,
        "error": node.error,
        "param": value_shape(node.param),
        "value": value_shape(node.value),
        "own": node.own,
        "children": children,
    }


def why_shape(why: Why) -> dict[str, Any]:
    """Return the answer to "why is it stuck"."""
    return {
        "id": why.id,
        "now": why.now,
        "line": why.line,
        "whole": why.whole,
        "steps": [{"id": step.id, "text": step.text} for step in why.steps],
        "causes": [_cause_shape(cause) for cause in why.causes],
    }


def _cause_shape(cause: Cause) -> dict[str, Any]:
    return {
        "kind": cause.kind.value,
        "id": cause.id,
        "text": cause.text,
        "hint": cause.hint,
        "path": list(cause.path),
        "since": cause.since,
        "until": cause.until,
        "group": cause.group,
        "pid": cause.pid,
        "error": cause.error,
        "state": None if cause.state is None else cause.state.value,
    }
