"""`ps`, `tree`, `why`, and the commands that get and search: what they print, and that they change nothing."""

from __future__ import annotations

import asyncio
import json
import re
import shlex

import pytest

from resonate import Context, SqliteServer
from resonate.testing import Harness
from tests.unit.cli.conftest import Command

LOOKS = (
    ["ps", "--all", "--calls"],
    ["tree", "order-bad"],
    ["tree", "order-calls", "--html"],
    ["why", "order-calls"],
    ["promises", "get", "order-good"],
    ["promises", "search"],
    ["tasks", "get", "lonely"],
    ["tasks", "search"],
    ["schedules", "get", "jubilee"],
    ["schedules", "search"],
)


def columns(line: str) -> list[str]:
    return re.split(r" {2,}", line)


def test_ps_lists_what_is_not_over(resonate):
    header, *rows = resonate("ps").lines
    assert columns(header) == ["STATE", "ID", "FUNCTION", "GROUP", "AGE", "TAKEN", "HELD BY"]
    assert [columns(row)[:4] for row in rows] == [
        ["queued", "lonely", "refund", "nobody"],
        ["waiting", "order-asks", "checkout", "default"],
        ["waiting", "order-calls", "checkout", "default"],
        ["waiting", "order-sleeps", "checkout", "default"],
    ]


def test_ps_lists_what_is_over_if_asked(resonate):
    states = [columns(row)[:2] for row in resonate("ps", "--all").lines[1:]]
    assert states[-2:] == [["resolved", "order-good"], ["rejected", "order-bad"]]
    assert [columns(row)[1] for row in resonate("ps", "--state", "rejected").lines[1:]] == ["order-bad"]
    assert [columns(row)[1] for row in resonate("ps", "-s", "resolved", "-s", "queued").lines[1:]] == [
        "lonely",
        "order-good",
    ]


async def rests(ctx: Context) -> None:
    await ctx.sleep(7_200)


async def rested(path):
    """Make a file in which an execution took two hours, in January 2025."""
    async with Harness(server=lambda clock: SqliteServer(path, clock=clock)) as harness:
        client = harness.client()
        client.register(rests)
        await harness.open(client)
        await client.run("rests", rests)


def test_ps_says_how_old_an_execution_is_and_how_long_it_took(tmp_path):
    asyncio.run(rested(tmp_path / "old.db"))
    header, row = Command(f"sqlite:///{tmp_path / 'old.db'}")("ps", "--all").lines
    assert columns(header) == ["STATE", "ID", "FUNCTION", "GROUP", "AGE", "TOOK", "TAKEN", "HELD BY"]
    assert re.fullmatch(r"[0-9]{3,} d( [0-9]+ h)?", columns(row)[4])
    assert columns(row)[5] == "2 h"


def test_ps_leaves_out_what_others_called(resonate):
    assert "order-calls:2" not in resonate("ps").out
    assert "order-calls:2" in resonate("ps", "--calls").out


def test_ps_filters(resonate):
    assert [one["id"] for one in resonate("ps", "--function", "refund", "--json").json["executions"]] == ["lonely"]
    assert resonate("ps", "--older-than", "1h", "--json").json["executions"] == []
    assert len(resonate("ps", "--older-than", "0s", "--json").json["executions"]) == 4


def test_ps_goes_on_after_a_page(resonate):
    seen, after = [], []
    for _ in range(10):
        page = resonate("ps", "--all", "--limit", "2", "--json", *after).json
        seen += [one["id"] for one in page["executions"]]
        if page["cursor"] is None:
            break
        after = ["--after", page["cursor"]]
    assert seen == ["lonely", "order-asks", "order-calls", "order-sleeps", "order-good", "order-bad"]


def test_a_page_says_on_stderr_how_to_go_on(resonate):
    answer = resonate("ps", "--limit", "1")
    assert len(answer.lines) == 2
    (how,) = answer.err.splitlines()
    assert how.startswith("More: --after ")
    next_page = resonate("ps", "--limit", "1", *shlex.split(how.removeprefix("More: ")))
    assert next_page.lines[1].startswith("waiting  order-asks")


# ---------------------------------------------------------------- options before the command


def test_the_options_of_every_command_may_stand_before_it(file):
    command, url = Command(None), f"sqlite:///{file}"
    assert [columns(line)[:2] for line in command("--url", url, "ps").lines] == [
        columns(line)[:2] for line in command("ps", "--url", url).lines
    ]
    assert command("--url", url, "--json", "promises", "get", "order-good").json["state"] == "resolved"
    assert command("--json", "check", str(file.parent)).json["findings"] == []


def test_an_option_behind_the_command_goes_before_one_in_front_and_both_before_the_environment(file, tmp_path):
    there, nowhere = f"sqlite:///{file}", f"sqlite:///{tmp_path}/nowhere.db"
    assert "order-asks" in Command(nowhere)("--url", there, "ps").out
    assert "order-asks" in Command(nowhere)("--url", nowhere, "ps", "--url", there).out
    assert "nowhere.db" in Command(there)("--url", nowhere, "ps", code=3).err
    assert json.loads(Command(nowhere)("--json", "ps", code=3).err)["error"]["type"] == "StoreError"


def test_a_tree_is_drawn_or_printed_as_json(resonate, tmp_path):
    for drawn in (["--html"], ["--output", str(tmp_path / "tree.html")]):
        answer = resonate("tree", "order-good", "--json", *drawn, code=2)
        assert json.loads(answer.err)["error"]["message"] == "A tree is drawn as HTML, or printed as JSON."
        assert answer.out == ""
    assert not (tmp_path / "tree.html").exists()


def test_tree_shows_the_failing_step(resonate):
    root, step = resonate("tree", "order-bad").lines
    assert re.match(r"order-bad  checkout  rejected  \d", root)
    assert root.endswith("ValueError: card declined")
    assert re.match(r"└─ order-bad:1  charge  rejected  \d", step)
    assert step.endswith("ValueError: card declined")


def test_tree_shows_what_is_called(resonate):
    lines = resonate("tree", "order-calls").lines
    assert re.match(r"order-calls  checkout  waiting  for .*taken 1 time  in group default$", lines[0])
    assert re.match(r"├─ order-calls:1  charge  resolved  \d", lines[1])
    assert re.match(r"└─ order-calls:2  pack  queued  for .*taken 0 times  in group warehouse$", lines[2])


def test_tree_as_json(resonate):
    tree = resonate("tree", "order-sleeps", "--json").json
    assert tree["whole"] is True
    root = tree["root"]
    assert {key: root[key] for key in ("id", "kind", "state", "status", "function", "version", "attempts")} == {
        "id": "order-sleeps",
        "kind": "execution",
        "state": "pending",
        "status": "waiting",
        "function": "checkout",
        "version": 1,
        "attempts": 1,
    }
    assert [(child["kind"], child["state"], child["function"]) for child in root["children"]] == [
        ("call", "resolved", "charge"),
        ("timer", "pending", None),
    ]
    assert root["children"][0]["value"]["json"] == {"receipt": "sleeps"}
    assert root["param"]["json"] == {"func": "checkout", "args": ["sleeps"], "version": 1}


def test_tree_as_a_page(resonate, tmp_path):
    out = resonate("tree", "order-bad", "--html").out
    assert out.startswith("<!doctype html>")
    assert "ValueError: card declined" in out
    path = tmp_path / "tree.html"
    assert resonate("tree", "order-bad", "--output", str(path)).out == ""
    assert path.read_text().startswith("<!doctype html>")
    answer = resonate("tree", "order-bad", "--output", str(tmp_path / "no" / "where.html"), code=2)
    assert "can't be written" in answer.err


def test_why_names_the_cause_in_its_first_line(resonate):
    assert (
        resonate("why", "order-asks")
        .lines[0]
        .startswith("order-asks waits for order-asks:2: nobody has settled the promise order-asks:2")
    )
    assert (
        resonate("why", "order-calls")
        .lines[0]
        .startswith(
            "order-calls waits for order-calls:2: no worker of group warehouse has taken the task order-calls:2 (pack)"
        )
    )
    assert (
        resonate("why", "order-sleeps")
        .lines[0]
        .startswith("order-sleeps waits for order-sleeps:2: the timer order-sleeps:2 rings in 23 h 5")
    )
    assert resonate("why", "order-bad").lines[0].startswith("order-bad is over: it failed ")


def test_why_as_json(resonate):
    why = resonate("why", "order-calls", "--json").json
    assert why["line"].endswith("none is connected.")
    assert why["causes"][0]["kind"] == "no_worker"
    assert why["causes"][0]["path"] == ["order-calls", "order-calls:2"]
    assert why["causes"][0]["group"] == "warehouse"
    assert [step["id"] for step in why["steps"]] == ["order-calls", "order-calls:2"]


def test_what_is_not_there_is_code_1(resonate):
    why = resonate("why", "order-goo", code=1)
    assert why.lines[0] == "There is no promise order-goo."
    assert why.lines[1].startswith("To do: Ids like it: order-good, ")
    assert resonate("tree", "order-goo", code=1).err.startswith(
        "resonate: There is no promise order-goo. Ids like it: order-good, "
    )
    for group in ("promises", "tasks", "schedules"):
        answer = resonate(group, "get", "nothing", code=1)
        assert answer.out == ""
        assert f"There is no {group[:-1]} nothing." in answer.err


def test_a_promise_is_shown_with_what_it_says(resonate):
    lines = resonate("promises", "get", "order-good").lines
    assert 'param      {"func":"checkout","args":["good"],"version":1}' in lines
    assert 'value      {"receipt":"good"}' in lines
    assert "error      ValueError: card declined" in resonate("promises", "get", "order-bad").lines


def test_searches_have_pages(resonate):
    first = resonate("promises", "search", "--state", "pending", "--limit", "3", "--json").json
    rest = resonate("promises", "search", "--state", "pending", "--json", "--after", first["cursor"]).json
    ids = [one["id"] for one in first["promises"] + rest["promises"]]
    assert ids == sorted(ids)
    assert len(ids) == len(set(ids)) == 7
    tagged = resonate("promises", "search", "--tag", "resonate:origin=order-calls", "--json").json["promises"]
    assert [one["id"] for one in tagged] == ["order-calls", "order-calls:1", "order-calls:2"]
    tasks = resonate("tasks", "search", "--state", "suspended", "--json").json["tasks"]
    assert [one["id"] for one in tasks] == ["order-asks", "order-calls", "order-sleeps"]


def test_schedules_are_shown(resonate):
    assert resonate("schedules", "search").lines[1].startswith("jubilee  0 0 3 1 1 * 2099  ")
    assert "cron       0 0 3 1 1 * 2099" in resonate("schedules", "get", "jubilee").lines
    assert resonate("schedules", "get", "jubilee", "--json").json["cron"] == "0 0 3 1 1 * 2099"


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_looking_changes_nothing(resonate, file, command):
    before = SqliteServer(file).snapshot(), file.read_bytes()
    resonate(*command)
    if "--html" not in command:
        resonate(*command, "--json")
    after = SqliteServer(file).snapshot(), file.read_bytes()
    assert before[0].promises == after[0].promises
    assert before[0].tasks == after[0].tasks
    assert before[1] == after[1]
    assert [each.name for each in file.parent.glob("*alive*")] == []
