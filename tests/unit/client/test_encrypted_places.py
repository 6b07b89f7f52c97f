"""Nobody without a key can have an encrypted call run again, or keep large values in the clear."""

from __future__ import annotations

from datetime import timedelta

import pytest

from resonate import DirectoryBlobs, Encrypted, JsonCodec, Offloaded, PromiseState, UsageError
from resonate.core.protocol.records import Tag
from resonate.core.protocol.requests import PromiseCreate

KEY = {"a": b"k" * 32}


async def test_a_call_is_not_run_again_under_the_name_of_a_schedule(harness):
    paid: list[int] = []

    async def pay(cents: int) -> None:
        paid.append(cents)

    client = await harness.open(harness.client(codec=Encrypted(JsonCodec(), KEY)))
    client.register(pay)
    await client.run("order-1", pay, 100)
    (order,) = [each.record for each in harness.snapshot().promises if each.record.id == "order-1"]
    store = harness.server.connect(group="thieves", pid="thief")
    await store.start()
    tags = {Tag.TARGET: order.tags[Tag.TARGET], Tag.SCHEDULE: "order-1"}
    await store.send(PromiseCreate(id="evil", timeout_at=harness.clock.now() + 10**6, param=order.param, tags=tags))
    await harness.clock.advance(timedelta(minutes=1))
    (evil,) = [each.record for each in harness.snapshot().promises if each.record.id == "evil"]
    assert evil.state is PromiseState.REJECTED
    assert paid == [100]
    await store.stop()


async def test_a_schedule_still_runs_encrypted(harness):
    ran: list[int] = []

    async def tick(n: int) -> None:
        ran.append(n)

    client = await harness.open(harness.client(codec=Encrypted(JsonCodec(), KEY)))
    client.register(tick)
    await client.schedule("ticks", "* * * * *", tick, 7)
    await harness.clock.advance(timedelta(minutes=3))
    assert ran[:2] == [7, 7]


def test_encryption_around_blobs_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"unencrypted\. Write Offloaded\(Encrypted"):
        Encrypted(Offloaded(JsonCodec(), DirectoryBlobs(tmp_path)), KEY)
