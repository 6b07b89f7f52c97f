"""What holds between the objects of a store in every state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from resonate.core.protocol.properties.named import StateProperty, at_each, at_each_seeing
from resonate.core.protocol.properties.reading import TARGET, is_deliverable, is_pending
from resonate.core.protocol.properties.view import Notice, Post, View
from resonate.core.protocol.records import PromiseState, TaskState
from resonate.core.protocol.snapshot import PromiseSnapshot, TaskSnapshot


def _tasks_and_targeted(v: View) -> Iterable[str]:
    yield from (t.id for t in v.snapshot.tasks)
    yield from (p.record.id for p in v.targeted)


def _settled_with_task(v: View) -> Iterable[TaskSnapshot]:
    return (v.tasks[p.record.id] for p in v.settled if p.record.id in v.tasks)


def _fulfilled(v: View) -> Iterable[TaskSnapshot]:
    return v.in_state(TaskState.FULFILLED)


def _callbacks(v: View) -> Iterable[tuple[PromiseSnapshot, str]]:
    return v.callbacks


def _listeners(v: View) -> Iterable[tuple[PromiseSnapshot, str]]:
    return v.listeners


def _posts(v: View) -> Iterable[Post]:
    return v.posts


def _posts_with_task(v: View) -> Iterable[tuple[Post, TaskSnapshot]]:
    return ((post, v.tasks[post.message.id]) for post in v.posts if post.message.id in v.tasks)


def _posts_with_promise(v: View) -> Iterable[tuple[Post, PromiseSnapshot]]:
    return ((post, v.promises[post.message.id]) for post in v.posts if post.message.id in v.promises)


def _notices(v: View) -> Iterable[Notice]:
    return v.notices


def _suspended_and_live(v: View) -> Iterable[TaskSnapshot]:
    return (t for t in v.in_state(TaskState.SUSPENDED) if v.reads_live(t.id))


@at_each_seeing(_tasks_and_targeted)
def consistent_task_iff_targeted_promise(v: View, id: str) -> bool:
    """A task exists exactly if the promise of the same id exists and has a target."""
    promise = v.promises.get(id)
    return id in v.tasks and promise is not None and TARGET in promise.record.tags


@at_each(_settled_with_task)
def consistent_settled_promise_has_fulfilled_task(t: TaskSnapshot) -> bool:
    """The task of a settled promise is fulfilled."""
    return t.state is TaskState.FULFILLED


@at_each_seeing(_fulfilled)
def consistent_settled_task_promise_settled(v: View, t: TaskSnapshot) -> bool:
    """The promise of a fulfilled task is settled, as stored."""
    promise = v.promises.get(t.id)
    return promise is not None and not is_pending(promise)


@at_each_seeing(_callbacks)
def consistent_callback_awaiter_is_targeted(v: View, item: tuple[PromiseSnapshot, str]) -> bool:
    """Every awaiter is a promise with a target, so there is a task to resume."""
    awaiter = v.promises.get(item[1])
    return awaiter is not None and TARGET in awaiter.record.tags


@at_each(_listeners)
def consistent_listener_addresses_deliverable(item: tuple[PromiseSnapshot, str]) -> bool:
    """Every listener has an address that can be delivered to: http, https, or poll with an `@`."""
    return is_deliverable(item[1])


@at_each_seeing(_posts)
def consistent_outbox_execute_names_existing_task(v: View, post: Post) -> bool:
    """Every execute in the outbox names a task that exists."""
    return post.message.id in v.tasks


@at_each(_posts_with_task)
def consistent_outbox_never_ahead(item: tuple[Post, TaskSnapshot]) -> bool:
    """No execute in the outbox has a version that its task has not reached."""
    post, task = item
    return post.message.version <= task.version


@at_each(_posts_with_promise)
def consistent_outbox_execute_address_is_target_tag(item: tuple[Post, PromiseSnapshot]) -> bool:
    """Every execute in the outbox goes to the target of its promise."""
    post, promise = item
    return post.address == promise.record.tags.get(TARGET)


@at_each_seeing(_notices)
def consistent_outbox_unblock_names_settled_promise(v: View, notice: Notice) -> bool:
    """Every unblock in the outbox carries a settled record, of a promise that is stored settled."""
    record = notice.message.promise
    promise = v.promises.get(record.id)
    return record.state is not PromiseState.PENDING and promise is not None and not is_pending(promise)


@at_each(_notices)
def consistent_outbox_unblock_address_deliverable(notice: Notice) -> bool:
    """Every unblock in the outbox has an address that can be delivered to."""
    return is_deliverable(notice.address)


@at_each_seeing(_suspended_and_live)
def consistent_suspended_task_holds_rung(v: View, t: TaskSnapshot) -> bool:
    """A suspended task whose promise reads as pending is some promise's callback, so something will wake it."""
    return t.id in v.awaiters


PROPERTIES: Final[tuple[StateProperty, ...]] = (
    consistent_task_iff_targeted_promise,
    consistent_settled_promise_has_fulfilled_task,
    consistent_settled_task_promise_settled,
    consistent_callback_awaiter_is_targeted,
    consistent_listener_addresses_deliverable,
    consistent_outbox_execute_names_existing_task,
    consistent_outbox_never_ahead,
    consistent_outbox_execute_address_is_target_tag,
    consistent_outbox_unblock_names_settled_promise,
    consistent_outbox_unblock_address_deliverable,
    consistent_suspended_task_holds_rung,
)
