"""Who gets which message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from resonate.core.protocol.records import Value
from resonate.testing.contracts.expect import agree, hold
from resonate.testing.contracts.store.stage import EXTERNAL, GROUP, PID, Member, Stage, StoreChecks

CHECKS: Final = StoreChecks()


async def _dispatch(stage: Stage, address: str, count: int, name: str = "p") -> list[str]:
    ids = [f"{name}.{number}" for number in range(count)]
    for id in ids:
        await stage.create(id, {"resonate:target": address})
        await stage.quiet()
    return ids


def _ids(members: Sequence[Member]) -> list[str]:
    return sorted(one.id for member in members for one in member.executes())


@CHECKS
async def addresses_are_what_the_protocol_says(stage: Stage) -> None:
    agree(stage.store.unicast, f"poll://uni@{GROUP}/{PID}", "the unicast address")
    agree(stage.store.anycast(), f"poll://any@{GROUP}", "the anycast address of the own group")
    agree(stage.store.anycast("other"), "poll://any@other", "the anycast address of another group")
    agree(stage.store.prefer(), f"poll://any@{GROUP}/{PID}", "the address that prefers this member")


@CHECKS
async def a_unicast_reaches_exactly_its_member(stage: Stage) -> None:
    second = await stage.join(pid="w2")
    ids = await _dispatch(stage, second.store.unicast, 4)
    agree(_ids([second]), sorted(ids), "what the member got")
    agree(_ids([stage.me]), [], "what the others got")


@CHECKS
async def an_anycast_reaches_one_member_of_the_group(stage: Stage) -> None:
    second = await stage.join(pid="w2")
    other = await stage.join("others", PID)
    ids = await _dispatch(stage, stage.store.anycast(), 64)
    agree(_ids([stage.me, second]), sorted(ids), "what the group got, each once")
    agree(_ids([other]), [], "what another group got")
    hold(bool(stage.me.executes()) and bool(second.executes()), "64 tasks are not all for one of two members")


@CHECKS
async def a_preference_is_kept_while_its_member_is_there(stage: Stage) -> None:
    second = await stage.join(pid="w2")
    ids = await _dispatch(stage, second.store.prefer(), 4)
    agree(_ids([second]), sorted(ids), "what the preferred member got")
    await second.store.stop()
    after = await _dispatch(stage, f"poll://any@{GROUP}/w2", 4, "after")
    hold(set(after) <= set(_ids([stage.me])), "without it, another member gets it")


@CHECKS
async def an_unblock_carries_the_record_to_its_listener(stage: Stage) -> None:
    second = await stage.join(pid="w2")
    await stage.create("p", EXTERNAL)
    await stage.subscribe("p", second.store.unicast)
    settled = await stage.settle("p", value=Value(headers={"h": "1"}, data="done"))
    await stage.quiet()
    agree([one.promise for one in second.unblocks()], [settled], "what the listener got")
    agree(stage.me.heard, [], "what the others got")


@CHECKS
async def every_listener_is_told(stage: Stage) -> None:
    members = [stage.me, *[await stage.join(pid=f"w{number}") for number in range(2, 5)]]
    await stage.create("p", EXTERNAL)
    for member in members:
        await stage.subscribe("p", member.store.unicast)
    await stage.settle("p")
    await stage.quiet()
    agree([len(member.unblocks()) for member in members], [1] * 4, "what each listener got")


@CHECKS
async def every_waiting_task_is_resumed(stage: Stage) -> None:
    await stage.create("shared", EXTERNAL)
    ids = [f"p{number:02}" for number in range(20)]
    for id in ids:
        await stage.claim(id)
        await stage.suspend(id, 1, ["shared"])
    await stage.settle("shared")
    await stage.quiet()
    agree(_ids([stage.me]), ids, "who was resumed")


@CHECKS
async def who_starts_gets_the_work_that_waits(stage: Stage) -> None:
    await stage.create("p", {"resonate:target": "poll://any@later"})
    await stage.past(stage.now + 100)
    late = await stage.join("later", "l1")
    await stage.past(stage.now + stage.retry_interval)
    hold(1 <= len(late.executes("p")) <= 2, "a member that starts has the work within the retry interval")


@CHECKS
async def who_stops_gets_nothing_more(stage: Stage) -> None:
    second = await stage.join(pid="w2")
    await second.store.stop()
    ids = await _dispatch(stage, stage.store.anycast(), 4)
    agree(_ids([stage.me]), sorted(ids), "what the rest of the group got")
    agree(second.heard, [], "what the stopped member got")
