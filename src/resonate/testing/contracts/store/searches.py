"""The searches: filters, order, pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from resonate.core.protocol.records import PromiseState, TaskState
from resonate.core.protocol.requests import PromiseSearch, ScheduleCreate, ScheduleDelete, ScheduleSearch, TaskSearch
from resonate.testing.contracts.expect import agree
from resonate.testing.contracts.store.stage import TARGETED, Stage, StoreChecks

CHECKS: Final = StoreChecks()


async def _all(stage: Stage, limit: int = 100, tags: Mapping[str, str] | None = None) -> list[str]:
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = await stage.ask(PromiseSearch(limit=limit, cursor=cursor, tags=tags or {}))
        ids += [record.id for record in page.promises]
        cursor = page.cursor
        if cursor is None:
            return ids


@CHECKS
async def a_search_finds_all_in_the_order_of_ids(stage: Stage) -> None:
    if not stage.store.dialect.searches:
        return
    agree(await _all(stage), [], "an empty store")
    ids = ["b", "a", "a10", "a2", "B", "ä", "🙂", "a:1", "a.1"]
    for id in ids:
        await stage.create(id)
    agree(await _all(stage), sorted(ids), "all ids, by code point")


@CHECKS
async def pages_are_disjoint_and_complete(stage: Stage) -> None:
    if not stage.store.dialect.searches:
        return
    ids = [f"p{number:03}" for number in range(25)]
    for id in reversed(ids):
        await stage.create(id)
    for limit in (1, 4, 5, 24, 25, 26, 1_000):
        agree(await _all(stage, limit), ids, f"pages of {limit}")


@CHECKS
async def pages_are_stable_while_others_create(stage: Stage) -> None:
    if not stage.store.dialect.searches:
        return
    for number in range(0, 20, 2):
        await stage.create(f"p{number:03}")
    seen: list[str] = []
    cursor: str | None = None
    for turn in range(20):
        page = await stage.ask(PromiseSearch(limit=2, cursor=cursor))
        seen += [record.id for record in page.promises]
        cursor = page.cursor
        if cursor is None:
            break
        await stage.create(f"p{turn * 4 + 1:03}")  # behind the cursor, and ahead of it
        await stage.create(f"a{turn}")
        await stage.settle(seen[-1])
    agree(seen, sorted(set(seen)), "what the pages show: in order, and nothing twice")
    agree({f"p{number:03}" for number in range(0, 20, 2)} - set(seen), set[str](), "what was there and is not shown")


@CHECKS
async def a_search_filters_by_what_reads_now(stage: Stage) -> None:
    if not stage.store.dialect.searches:
        return
    await stage.create("pending")
    await stage.create("done")
    await stage.settle("done")
    await stage.create("dead", timeout_at=stage.now + 10)
    stage.at(stage.now + 10)
    for state, ids in (
        (PromiseState.PENDING, ["pending"]),
        (PromiseState.RESOLVED, ["done"]),
        (PromiseState.REJECTED_TIMEDOUT, ["dead"]),
        (PromiseState.REJECTED, []),
    ):
        page = await stage.ask(PromiseSearch(state=state))
        agree([record.id for record in page.promises], ids, f"what is {state}")
        agree({record.state for record in page.promises} - {state}, set[PromiseState](), "the states shown")


@CHECKS
async def a_search_matches_all_tags(stage: Stage) -> None:
    if not stage.store.dialect.searches:
        return
    await stage.create("both", {"a": "1", "b": "2", "c": "3"})
    await stage.create("one", {"a": "1"})
    await stage.create("other", {"a": "2", "b": "2"})
    for tags, ids in (
        ({"a": "1"}, ["both", "one"]),
        ({"a": "1", "b": "2"}, ["both"]),
        ({"b": "2"}, ["both", "other"]),
        ({"d": "1"}, []),
    ):
        agree(await _all(stage, tags=tags), ids, f"what is tagged {tags}")
        agree(await _all(stage, 1, tags), ids, f"what is tagged {tags}, one to a page")


@CHECKS
async def a_search_refuses_what_is_malformed(stage: Stage) -> None:
    if not stage.store.dialect.searches:
        return
    for limit in (0, -1, 1_001):
        await stage.refused(PromiseSearch(limit=limit), 400, "a page has 1 to 1000 records")


@CHECKS
async def tasks_are_searched_by_state_and_their_promises_tags(stage: Stage) -> None:
    if not stage.store.dialect.searches:
        return
    await stage.create("internal", {"a": "1"})
    await stage.create("pending", {**TARGETED, "a": "1"})
    await stage.claim("acquired", tags={"a": "2"})
    await stage.claim("dead", stage.now + 10)
    stage.at(stage.now + 10)
    page = await stage.ask(TaskSearch())
    agree([task.id for task in page.tasks], ["acquired", "dead", "pending"], "all tasks")
    page = await stage.ask(TaskSearch(state=TaskState.FULFILLED))
    agree([task.id for task in page.tasks], ["dead"], "what reads as fulfilled")
    page = await stage.ask(TaskSearch(tags={"a": "1"}))
    agree([(task.id, task.state) for task in page.tasks], [("pending", TaskState.PENDING)], "by tags")
    first = await stage.ask(TaskSearch(limit=2))
    rest = await stage.ask(TaskSearch(limit=2, cursor=first.cursor))
    agree([task.id for task in (*first.tasks, *rest.tasks)], ["acquired", "dead", "pending"], "two pages")


@CHECKS
async def schedules_are_searched_by_tags(stage: Stage) -> None:
    if not stage.store.dialect.searches:
        return
    for id, tag in (("b", "1"), ("a", "1"), ("c", "2")):
        await stage.ask(
            ScheduleCreate(
                id=id, cron="0 0 1 1 *", promise_id="{{.id}}", promise_timeout=1, promise_tags={**TARGETED, "t": tag}
            )
        )
    page = await stage.ask(ScheduleSearch())
    agree([one.id for one in page.schedules], ["a", "b", "c"], "all schedules")
    page = await stage.ask(ScheduleSearch(tags={"t": "1"}, limit=1))
    agree([one.id for one in page.schedules], ["a"], "the first page")
    page = await stage.ask(ScheduleSearch(tags={"t": "1"}, limit=1, cursor=page.cursor))
    agree(([one.id for one in page.schedules], page.cursor), (["b"], None), "the last page")
    await stage.ask(ScheduleDelete("b"))
    page = await stage.ask(ScheduleSearch())
    agree([one.id for one in page.schedules], ["a", "c"], "what is left")
