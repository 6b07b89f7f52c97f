"""Which settled promises an execution reports, and what its writes say of that."""

from __future__ import annotations

import pytest

from resonate.core import ids, trace
from resonate.core.engine.reports import TELLER, TOLD, Reports, signed
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag, Value


def promise(id: str, *, settled_at: int | None = 10, told: str | None = None, by: str | None = None, **tags: str):
    headers = {**({TOLD: told} if told else {}), **({TELLER: by} if by else {})}
    return PromiseRecord(
        id=id,
        state=PromiseState.PENDING if settled_at is None else PromiseState.RESOLVED,
        param=Value(headers if settled_at is None else {}),
        value=Value(headers),
        tags={Tag.ORIGIN: "a", Tag.PARENT: "a", **{f"resonate:{name}": value for name, value in tags.items()}},
        timeout_at=10**9,
        created_at=5,
        settled_at=settled_at,
    )


HOME = promise("a", settled_at=None, parent="a")


class Told(list):
    """What was reported, by id."""

    def hear(self, event: trace.LifecycleEvent) -> None:
        assert isinstance(event, trace.Settled)
        assert event.home is HOME
        self.append(event.promise.id)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def reports(told: Told) -> Reports:
    return Reports(HOME, ":", lambda one: ids.suffix("a", one), told.hear, 100)


def test_what_settles_is_reported_before_the_next_write_and_that_says_so(reports, told):
    reports.learn(promise("a:1"))
    reports.learn(promise("a:2", settled_at=None))
    assert told == []
    assert reports.flush() == "0 1"
    assert told == ["a:1"]


def test_it_is_said_until_a_stored_write_says_so(reports, told):
    reports.learn(promise("a:1"))
    assert reports.flush() == "0 1"
    reports.learn(promise("a:2"))
    assert reports.flush() == "0 1-2"
    reports.learn(promise("a:3", settled_at=None, told="0 1-2"))
    assert reports.flush() is None
    assert told == ["a:1", "a:2"]


@pytest.mark.parametrize("first", ["what settled", "what says so"])
def test_what_a_stored_write_says_was_reported_is_not_reported_again(reports, told, first):
    records = [promise("a:1"), promise("a:2", told="0 1")]
    for record in records if first == "what settled" else reversed(records):
        reports.learn(record)
    assert reports.flush() == "0 2"
    assert told == ["a:2"]


def test_what_says_nothing_of_sense_is_passed_over(reports, told):
    reports.learn(promise("a:1"))
    reports.learn(promise("a:2", settled_at=None, told="of no sense"))
    reports.flush()
    assert told == ["a:1"]


@pytest.mark.parametrize(
    "record",
    [
        promise("a:1", by="another process"),
        promise("b", origin="b", parent="b"),
        promise("a:0.1"),
        promise("x:1", origin="x", parent="x"),
        promise("ab:1", origin="ab", parent="ab"),
    ],
    ids=["reported by who settled it", "detached", "the engine's own", "another's", "another's of a similar name"],
)
def test_what_is_not_the_execution_s_to_report(reports, told, record):
    reports.learn(record)
    assert reports.flush() is None
    assert told == []


def test_what_was_asked_for_under_a_chosen_id_is_reported(reports, told):
    reports.learn(promise("c:named", origin="c", parent="a"))
    reports.learn(promise("c:deeper", origin="c", parent="a:1"))
    reports.flush()
    assert told == ["c:named", "c:deeper"]


def test_after_a_step_was_cut_off_what_was_reported_shortly_before_is_reported_again(reports, told):
    reports.learn(promise("a:1", settled_at=10))
    reports.learn(promise("a:2", settled_at=500, told="0 1"))
    reports.learn(promise("a:3", settled_at=590, told="0 2"))
    reports.learn(promise("a:4", settled_at=600, told="0 3"))
    reports.cut_off()
    reports.cut_off()
    assert reports.flush() == "0 4 2-3"
    assert told == ["a:4", "a:2", "a:3"]


def test_once_something_was_reported_anew_the_past_is_past(reports, told):
    reports.learn(promise("a:1"))
    reports.learn(promise("a:2", told="0 1"))
    reports.flush()
    reports.cut_off()
    reports.flush()
    assert told == ["a:2"]


def test_who_settles_signs_the_outcome_and_leaves_its_value_as_it_is():
    value = signed(Value({"encoding": "json"}, "1"), "one")
    assert value == Value({"encoding": "json", TELLER: "one"}, "1")
