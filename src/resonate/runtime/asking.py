"""Asks a store for many things, a bounded number at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from resonate.core.batches import batches
from resonate.core.protocol.records import PromiseRecord, TaskRecord
from resonate.core.protocol.requests import PromiseGet, PromiseReply, Rejection, Request, TaskGet, TaskReply
from resonate.errors import StoreError
from resonate.ports.store import Store

R = TypeVar("R")

BATCH: Final = 64


async def promises(store: Store, ids: Sequence[str]) -> dict[str, PromiseRecord]:
    """Return those of these promises that there are, by id. Raise `StoreError`."""
    replies = await _all(store, [PromiseGet(one) for one in ids])
    return {reply.promise.id: reply.promise for reply in replies if isinstance(reply, PromiseReply)}


async def tasks(store: Store, ids: Sequence[str]) -> dict[str, TaskRecord]:
    """Return those of these tasks that there are, by id. Raise `StoreError`."""
    replies = await _all(store, [TaskGet(one) for one in ids])
    return {reply.task.id: reply.task for reply in replies if isinstance(reply, TaskReply)}


async def _all(store: Store, requests: Sequence[Request[R]]) -> list[R | Rejection]:
    replies: list[R | Rejection] = []
    for batch in batches(requests, BATCH):
        for reply in await store.send_all(batch):
            if isinstance(reply, StoreError):
                raise reply
            replies.append(reply)
    return replies
