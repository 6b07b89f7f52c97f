"""`resolve`, `reject`, `cancel`, `halt`, `continue`, `invoke`: they do what they say once, and say when they can't."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import contextmanager

import pytest

from resonate import Never, SqliteServer, sync
from resonate.core.protocol.records import Tag
from resonate.core.protocol.requests import PromiseCreate
from tests.unit.cli.conftest import checkout


@contextmanager
def worker(url):
    client = sync.Resonate(url, grace=0)
    client.register(checkout)

    @client.register(retry=Never())
    def double(number: int) -> int:
        if number < 0:
            msg = "below nothing"
            raise ValueError(msg)
        return 2 * number

    with client:
        yield client


def state(resonate, id):
    return resonate("promises", "get", id, "--json").json["state"]


def test_resolve_gives_a_promise_its_value(resonate):
    assert resonate("resolve", "order-asks:2", '{"yes": [1, 2]}').out == (
        'order-asks:2 is resolved with {"yes":[1,2]}.\n'
    )
    with worker(resonate.url) as client:
        assert client.get("order-asks").result(timeout=60) == {"yes": [1, 2]}


def test_a_value_that_is_no_json_is_text(resonate):
    resonate("resolve", "order-asks:2", "go on")
    assert resonate("promises", "get", "order-asks:2", "--json").json["value"]["json"] == "go on"


@pytest.mark.parametrize("text", ["True", "None", '{"yes":', "[1,", '"open'])
def test_what_was_meant_as_json_is_not_taken_for_text(resonate, text):
    said = resonate("resolve", "order-asks:2", text, code=2)
    assert "JSON" in said.err
    assert state(resonate, "order-asks:2") == "pending"


def test_reject_gives_it_a_failure(resonate):
    assert resonate("reject", "order-asks:2", "not today").out == "order-asks:2 is rejected.\n"
    with worker(resonate.url) as client, pytest.raises(Exception, match="not today"):
        client.get("order-asks").result(timeout=60)


def test_a_promise_is_settled_once(resonate):
    resonate("resolve", "order-asks:2", "1")
    for again in (["resolve", "order-asks:2", "1"], ["reject", "order-asks:2"], ["cancel", "order-asks:2"]):
        answer = resonate(*again, code=1)
        assert "order-asks:2 was resolved already, at " in answer.err
    assert resonate("promises", "get", "order-asks:2", "--json").json["value"]["json"] == 1


async def step_under_way(url: str) -> None:
    store = SqliteServer(url.removeprefix("sqlite:///")).connect(group="g", pid="p")
    await store.start()
    tags = {Tag.SCOPE: "local", Tag.ORIGIN: "order-asks", Tag.BRANCH: "order-asks", Tag.PARENT: "order-asks"}
    await store.send(PromiseCreate(id="order-asks:9", timeout_at=10**13, tags=tags))
    await store.stop()


def test_when_a_step_that_runs_is_settled_it_is_said_when_that_is_heard_of(resonate):
    asyncio.run(step_under_way(resonate.url))
    answer = resonate("reject", "order-asks:9", "enough")
    assert answer.out == "order-asks:9 is rejected.\n"
    assert "once the try under way has ended" in answer.err
    assert resonate("resolve", "order-asks:2", "1").err == ""


def test_cancel_ends_an_execution(resonate):
    assert resonate("cancel", "order-sleeps", "--json").json["state"] == "rejected_canceled"
    assert state(resonate, "order-sleeps") == "rejected_canceled"


def test_what_is_not_there_can_not_be_acted_on(resonate):
    for command in ("resolve", "reject", "cancel", "halt", "continue"):
        assert "There is no " in resonate(command, "nothing", code=1).err
    assert "There is no schedule nothing." in resonate("schedules", "delete", "nothing", code=1).err


def test_halt_and_continue(resonate):
    assert resonate("halt", "order-sleeps").out == "order-sleeps is halted.\n"
    assert resonate("why", "order-sleeps", "--json").json["causes"][0]["kind"] == "halted"
    assert resonate("continue", "order-sleeps", "--json").json["state"] == "pending"
    answer = resonate("continue", "order-sleeps", code=1)
    assert answer.err == "resonate: Refused: a task that is pending cannot be continued.\n"


def test_a_schedule_is_deleted(resonate):
    resonate("schedules", "delete", "jubilee")
    assert resonate("schedules", "search", "--json").json == {"schedules": [], "cursor": None}


def test_invoke_offers_an_execution_to_a_group(resonate):
    assert resonate("invoke", "new", "--func", "double", "--arg", "21").out == "new is offered to group default.\n"
    assert resonate("why", "new", "--json").json["causes"][0]["kind"] == "no_worker"
    with worker(resonate.url) as client:
        assert client.get("new").result(timeout=60) == 42


def test_invoke_says_that_nothing_is_run_under_an_id_that_is_over(resonate):
    with worker(resonate.url):
        assert resonate("invoke", "new", "--func", "double", "--arg", "21", "--wait").out == "42\n"
    said = resonate("invoke", "new", "--func", "double", "--arg", "21").out
    assert said.startswith("new is over, and is not run again: `")
    assert resonate("invoke", "new", "--func", "double", "--arg", "21", "--json").json["over"] is True


def test_invoke_waits_for_the_result(resonate):
    with worker(resonate.url):
        assert resonate("invoke", "new", "-f", "double", "-a", "21", "--wait").out == "42\n"
        assert resonate("invoke", "named", "-f", "double", "-k", "number=4", "-w", "--json").json["result"] == 8
        answer = resonate("invoke", "bad", "-f", "double", "-a", "-1", "--wait", code=1)
    assert answer.out == "bad failed with ValueError: below nothing\n"


def test_invoke_attaches_to_the_same_call_and_to_no_other(resonate):
    resonate("invoke", "new", "-f", "double", "-a", "21")
    resonate("invoke", "new", "-f", "double", "-a", "21")
    answer = resonate("invoke", "new", "-f", "double", "-a", "22", code=1)
    assert "The id new belongs to double(21); it was asked for with double(22)." in answer.err


def test_invoke_takes_no_work_itself(resonate):
    """The command's own client is offered nothing, though work waits in the group that it asks of."""
    before = resonate("tasks", "search", "--json").json["tasks"]
    resonate("invoke", "new", "-f", "double", "-a", "1")
    after = resonate("tasks", "search", "--json").json["tasks"]
    assert [one for one in after if one["id"] != "new"] == before


def test_settling_tells_a_worker_that_waits_at_once(resonate):
    with worker(resonate.url) as client:
        done = threading.Event()
        seen: list[object] = []

        def wait() -> None:
            seen.append(client.get("order-asks").result(timeout=60))
            done.set()

        threading.Thread(target=wait, daemon=True).start()
        resonate("resolve", "order-asks:2", "true")
        assert done.wait(60)
    assert seen == [True]
    assert inspect.iscoroutinefunction(checkout)
