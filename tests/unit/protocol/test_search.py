"""The searches: filters, pages, order."""

from __future__ import annotations

import pytest

from resonate.core.protocol.records import PromiseState, TaskState
from resonate.core.protocol.requests import (
    PromisePage,
    PromiseSearch,
    ScheduleCreate,
    SchedulePage,
    ScheduleSearch,
    TaskPage,
    TaskSearch,
)
from tests.unit.protocol.world import EXTERNAL, TARGET, World


@pytest.fixture
def world() -> World:
    world = World()
    for id in ("c", "a", "e", "b", "d"):
        world.create(id, EXTERNAL | {"n": id, "odd": "yes" if id in "ace" else "no"})
    return world


def pages(world: World, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = world.ask(PromiseSearch(limit=limit, cursor=cursor))
        assert isinstance(page, PromisePage)
        found.append([record.id for record in page.promises])
        cursor = page.cursor
        if cursor is None:
            return found


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (1, [["a"], ["b"], ["c"], ["d"], ["e"]]),
        (2, [["a", "b"], ["c", "d"], ["e"]]),
        (5, [["a", "b", "c", "d", "e"]]),
        (1_000, [["a", "b", "c", "d", "e"]]),
    ],
)
def test_pages_in_id_order_without_an_empty_last_page(world: World, limit: int, expected: list[list[str]]) -> None:
    assert pages(world, limit) == expected


def test_pages_are_stable_under_inserts(world: World) -> None:
    first = world.ask(PromiseSearch(limit=2))
    assert isinstance(first, PromisePage)
    world.create("aa")
    world.create("bb")
    rest = world.ask(PromiseSearch(cursor=first.cursor))
    assert isinstance(rest, PromisePage)
    assert [record.id for record in rest.promises] == ["bb", "c", "d", "e"]


def test_state_and_tags_filter_together(world: World) -> None:
    world.settle("a")
    world.settle("b")
    page = world.ask(PromiseSearch(state=PromiseState.RESOLVED, tags={"odd": "yes", "resonate:external": "true"}))
    assert isinstance(page, PromisePage)
    assert [record.id for record in page.promises] == ["a"]
    assert page.cursor is None


def test_tasks_are_found_by_state_and_their_promises_tags(world: World) -> None:
    world.create("t1", TARGET | {"team": "x"})
    world.create("t2", TARGET)
    world.claim("t3", tags={"team": "x"})
    page = world.ask(TaskSearch(tags={"team": "x"}))
    assert isinstance(page, TaskPage)
    assert [(task.id, task.state) for task in page.tasks] == [("t1", TaskState.PENDING), ("t3", TaskState.ACQUIRED)]
    page = world.ask(TaskSearch(state=TaskState.PENDING, limit=1))
    assert isinstance(page, TaskPage)
    assert ([task.id for task in page.tasks], page.cursor) == (["t1"], "t1")


def test_schedules_are_found_by_their_promises_tags(world: World) -> None:
    for id, team in (("s1", "x"), ("s2", "y"), ("s3", "x")):
        world.ask(
            ScheduleCreate(
                id=id, cron="@daily", promise_id="p", promise_timeout=1, promise_tags=TARGET | {"team": team}
            )
        )
    page = world.ask(ScheduleSearch(tags={"team": "x"}))
    assert isinstance(page, SchedulePage)
    assert [schedule.id for schedule in page.schedules] == ["s1", "s3"]
    page = world.ask(ScheduleSearch(limit=1, cursor="s1"))
    assert isinstance(page, SchedulePage)
    assert ([schedule.id for schedule in page.schedules], page.cursor) == (["s2"], "s2")
