from __future__ import annotations

import pytest

from resonate import PromiseState
from resonate.core.engine.identity import Kind as Asked
from resonate.core.insight.picture import Facts
from resonate.core.insight.tree import Kind, Status, tree_of
from resonate.core.protocol.records import Tag, TaskState, Value
from tests.unit.insight.pictures import LOCAL, NOW, OUTSIDE, TIMER, on, picture, promise, task


def shape(node):
    return (node.id, [shape(child) for child in node.children])


def test_each_promise_stands_below_the_one_that_asked_for_it_in_order():
    found = picture(
        *(promise(f"a:{n}", LOCAL, parent="a") for n in (10, 2, 1)),
        promise("a", on("g"), parent="a"),
        promise("a:2.1", LOCAL, parent="a:2"),
        promise("chosen", on("g"), parent="a:1"),
    )
    tree = tree_of(found, "a")
    assert shape(tree.root) == ("a", [("a:1", [("chosen", [])]), ("a:2", [("a:2.1", [])]), ("a:10", [])])
    assert [(depth, node.id) for depth, node in tree.nodes()] == [
        (0, "a"),
        (1, "a:1"),
        (2, "chosen"),
        (1, "a:2"),
        (2, "a:2.1"),
        (1, "a:10"),
    ]
    assert shape(tree_of(found, "a:2").root) == ("a:2", [("a:2.1", [])])


def test_an_id_whose_parent_is_a_branch_or_gone_stands_below_what_is_there():
    found = picture(promise("a", on("g")), promise("a:1.1", LOCAL), promise("a:2.5.3", LOCAL, parent="a:2.5"))
    assert shape(tree_of(found, "a").root) == ("a", [("a:1.1", []), ("a:2.5.3", [])])


def test_the_longer_lineage_counts_where_the_tag_says_the_root():
    found = picture(promise("a", on("g")), promise("a:1", on("g"), parent="a"), promise("a:1.1", LOCAL, parent="a"))
    assert shape(tree_of(found, "a").root) == ("a", [("a:1", [("a:1.1", [])])])


def test_tags_that_go_round_do_not():
    found = picture(promise("a", LOCAL, parent="b"), promise("b", LOCAL, parent="a"), promise("c", LOCAL, parent="c"))
    trees = [shape(tree_of(found, id).root) for id in "abc"]
    assert ("c", []) in trees
    assert sorted(str(tree).count("'") for tree in trees) == [2, 2, 4]


def test_what_each_of_them_is():
    error = Value(data='{"name": "ValueError", "message": "no"}')
    settled = PromiseState.REJECTED
    found = picture(
        promise("a", on("g"), call="work@2"),
        promise("a:1", LOCAL, parent="a", call="step", state=settled, value=error, settled=NOW - 40_000),
        promise("a:2", TIMER, parent="a", kind=Asked.SLEEP),
        promise("a:3", OUTSIDE, parent="a", kind=Asked.PROMISE),
        promise("a:4", {**LOCAL, Tag.TIMER: "true"}, parent="a", kind=Asked.RECORD),
        promise("a:5", {**TIMER, Tag.TARGET: "poll://any@g"}, parent="a", kind=Asked.SLEEP),
        promise("a:6", {Tag.TARGET: "https://other/place"}, parent="a", call="far"),
        promise("a:3.0", TIMER, parent="a:3"),
        tasks=(task("a", TaskState.ACQUIRED, 3, pid="p"),),
        facts=Facts(expires={"a": NOW + 41_000}),
    )
    nodes = {node.id: node for _, node in tree_of(found, "a").nodes()}
    assert {id: node.kind for id, node in nodes.items()} == {
        "a": Kind.EXECUTION,
        "a:1": Kind.CALL,
        "a:2": Kind.TIMER,
        "a:3": Kind.PROMISE,
        "a:4": Kind.RECORD,
        "a:5": Kind.TIMER,
        "a:6": Kind.EXECUTION,
        "a:3.0": Kind.TIMER,
    }
    root = nodes["a"]
    assert (root.name, root.group, root.attempts, root.pid, root.expires_at) == ("work@2", "g", 3, "p", NOW + 41_000)
    assert (root.status, root.duration_ms(NOW)) == (Status.RUNNING, 60_000)
    step = nodes["a:1"]
    assert (step.name, step.status, step.error, step.duration_ms(NOW)) == (
        "step",
        Status.REJECTED,
        "ValueError: no",
        20_000,
    )
    assert nodes["a:2"].name == "timer"
    assert nodes["a:6"].group == "https://other/place"
    assert [id for id, node in nodes.items() if node.own] == ["a:3.0"]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (TaskState.PENDING, Status.QUEUED),
        (TaskState.ACQUIRED, Status.RUNNING),
        (TaskState.SUSPENDED, Status.WAITING),
        (TaskState.HALTED, Status.HALTED),
    ],
)
def test_a_live_execution_stands_as_its_task(state, status):
    found = picture(promise("a", on("g")), tasks=(task("a", state),))
    assert tree_of(found, "a").root.status is status


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (PromiseState.RESOLVED, Status.RESOLVED),
        (PromiseState.REJECTED, Status.REJECTED),
        (PromiseState.REJECTED_CANCELED, Status.CANCELED),
        (PromiseState.REJECTED_TIMEDOUT, Status.TIMED_OUT),
        (PromiseState.PENDING, Status.PENDING),
    ],
)
def test_what_is_over_stands_as_its_promise(state, status):
    assert tree_of(picture(promise("a", on("g"), state=state)), "a").root.status is status


def test_a_chain_deeper_than_the_stack_is_walked():
    ids = ["a", *("a:" + ".".join("1" * n) for n in range(1, 1_050))]
    above = [None, *ids]
    found = picture(*(promise(id, LOCAL, parent=parent) for id, parent in zip(ids, above, strict=False)))
    assert [depth for depth, _ in tree_of(found, "a").nodes()] == list(range(1_050))
