"""Being a connection: start, stop, many at once, from any thread."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from resonate.core.protocol.records import PromiseState
from resonate.core.protocol.requests import (
    ClaimReply,
    PromiseCreate,
    PromiseGet,
    PromiseReply,
    PromiseSettle,
    Rejection,
    Request,
    TaskAcquire,
    TaskFence,
)
from resonate.errors import ResonateError
from resonate.ports.store import Store
from resonate.testing.contracts.expect import agree, hold, raises
from resonate.testing.contracts.store.stage import EXTERNAL, TARGETED, TTL, Member, Stage, StoreChecks

CHECKS: Final = StoreChecks()

_MANY: Final = 20
_PATIENCE: Final = 60.0
"""Real seconds after which a reader that should have ended is said to hang."""


@CHECKS
async def start_and_stop_may_be_repeated(stage: Stage) -> None:
    store = stage.backend.connect(group="g", pid="p")
    await store.stop()
    for _ in range(2):
        await store.start()
    heard = Member(store)
    reader = asyncio.create_task(heard.listen())
    for number in range(4):
        await store.send(PromiseCreate(id=f"p{number}", timeout_at=stage.far, tags={"resonate:target": "poll://any@g"}))
        await stage.quiet()
    agree(len(heard.executes()), 4, "what a store that was started twice hears")
    for _ in range(2):
        await store.stop()
    await asyncio.wait_for(reader, _PATIENCE)
    await stage.promise("p0")


@CHECKS
async def a_store_that_is_not_started_refuses(stage: Stage) -> None:
    store = stage.backend.connect(group="g", pid="p")
    with raises(ResonateError, "a store that has not been started says so"):
        await store.send(PromiseGet("p"))
    await store.start()
    await store.stop()
    with raises(ResonateError, "a store that has been stopped says so"):
        await store.send(PromiseGet("p"))
    with raises(ResonateError, "a store that has been stopped says so"):
        await store.send_all([PromiseGet("p")])


@CHECKS
async def messages_end_with_the_store(stage: Stage) -> None:
    store = stage.backend.connect(group="g", pid="p")
    await store.start()

    async def read() -> int:
        return len([message async for message in store.messages()])

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    await store.stop()
    agree(await asyncio.wait_for(reader, _PATIENCE), 0, "what a store that was sent nothing has read")


@CHECKS
async def members_share_what_is_stored(stage: Stage) -> None:
    other = await stage.join("others", "o1")
    await stage.create("p", EXTERNAL)
    reply = await other.store.send(PromiseSettle(id="p", state=PromiseState.REJECTED))
    hold(isinstance(reply, PromiseReply), "a promise is anyone's to settle")
    agree((await stage.promise("p")).state, PromiseState.REJECTED, "what the first member sees")


@CHECKS
async def what_is_stored_outlives_the_connections(stage: Stage) -> None:
    made = await stage.create("p", TARGETED, stage.far)
    await stage.store.stop()
    await stage.clock.advance(100)
    later = await stage.join(pid="w2")
    reply = await later.store.send(PromiseGet("p"))
    agree(reply, PromiseReply(made), "what the next member sees")
    await stage.past(stage.now + 2 * stage.retry_interval)
    hold(bool(later.executes("p")), "the next member is offered the work")


@CHECKS
async def one_of_many_creators_creates(stage: Stage) -> None:
    creates = [
        stage.store.send(PromiseCreate(id="p", timeout_at=stage.far + number, tags={"by": str(number)}))
        for number in range(_MANY)
    ]
    replies = await asyncio.gather(*creates)
    agree([reply for reply in replies if isinstance(reply, Rejection)], [], "what was refused")
    agree(replies, [replies[0]] * _MANY, "what they are answered: all the same")


@CHECKS
async def one_of_many_claimants_wins(stage: Stage) -> None:
    members = [stage.me, *[await stage.join(pid=f"w{number}") for number in range(2, 6)]]
    for round_ in range(5):
        id = f"p{round_}"
        await stage.create(id, TARGETED)
        replies = await asyncio.gather(
            *(
                member.store.send(TaskAcquire(id=id, version=0, pid=f"w{number}", ttl=TTL))
                for number, member in enumerate(members, 1)
            )
        )
        agree(sum(isinstance(reply, ClaimReply) for reply in replies), 1, "how many win")
        refusals = {reply.status for reply in replies if isinstance(reply, Rejection)}
        agree(refusals, {409}, "what the others are answered")


@CHECKS
async def one_of_many_settlers_settles(stage: Stage) -> None:
    await stage.create("p")
    states = (PromiseState.RESOLVED, PromiseState.REJECTED, PromiseState.REJECTED_CANCELED)
    replies = await asyncio.gather(*(stage.store.send(PromiseSettle(id="p", state=state)) for state in states * 5))
    agree(replies, [PromiseReply(await stage.promise("p"))] * len(replies), "what they are answered: all the same")


@CHECKS
async def many_requests_are_answered_each_in_its_place(stage: Stage) -> None:
    await stage.claim("p")
    requests: list[Request[Any]] = [
        TaskFence(id="p", version=1, action=PromiseCreate(id=f"p:{number}", timeout_at=stage.far))
        for number in range(_MANY)
    ]
    requests.insert(5, PromiseGet("absent"))
    requests.insert(9, TaskFence(id="p", version=7, action=PromiseCreate(id="never", timeout_at=stage.far)))
    replies = await stage.store.send_all(requests)
    agree(len(replies), len(requests), "how many are answered")
    refused = {place: reply.status for place, reply in enumerate(replies) if isinstance(reply, Rejection)}
    agree(refused, {5: 404, 9: 409}, "which are refused")
    for number in range(_MANY):
        await stage.promise(f"p:{number}")
    await stage.refused(PromiseGet("never"), 404, "what was refused is not stored")
    agree(list(await stage.store.send_all([])), [], "nothing is answered with nothing")


@CHECKS
async def requests_may_come_from_any_thread(stage: Stage) -> None:
    await stage.claim("p")

    def work(thread: int) -> list[Any]:
        return asyncio.run(_create_children(stage.store, thread, stage.far))

    with stage.clock.busy():
        batches = await asyncio.gather(*(asyncio.to_thread(work, thread) for thread in range(4)))
    replies = [reply for batch in batches for reply in batch]
    agree([reply for reply in replies if isinstance(reply, Rejection)], [], "what was refused")
    ids = {f"p:{thread}.{number}" for thread in range(4) for number in range(_MANY)}
    for id in ids:
        await stage.promise(id)


async def _create_children(store: Store, thread: int, timeout_at: int) -> list[Any]:
    return [
        await store.send(
            TaskFence(id="p", version=1, action=PromiseCreate(id=f"p:{thread}.{number}", timeout_at=timeout_at))
        )
        for number in range(_MANY)
    ]


@CHECKS
async def a_message_caused_in_a_thread_arrives(stage: Stage) -> None:
    await stage.create("p", EXTERNAL)
    await stage.subscribe("p")

    def work() -> None:
        asyncio.run(_settle(stage.store))

    with stage.clock.busy():
        await asyncio.to_thread(work)
    await stage.quiet()
    agree(len(stage.me.unblocks()), 1, "what arrives")


async def _settle(store: Store) -> None:
    await store.send(PromiseSettle(id="p", state=PromiseState.RESOLVED))
