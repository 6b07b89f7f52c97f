"""The store's contract, held against servers that somebody else wrote: where they keep it, and where they differ.

A difference has a sentence here, and must be there: a server that has come to keep a rule makes its test fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from resonate.testing.contracts import STORE_CHECKS, StoreCheck, run_store_check
from tests.interop import peers
from tests.interop.conftest import NODE, OWN, Server
from tests.interop.debugged import DebuggedServer

pytestmark = pytest.mark.interop

RETRY_MS = 30_000
RULES = [check for check in STORE_CHECKS if not check.__module__.endswith(".connections")]
"""What a server is held to. What a connection owes its user is another matter."""

EVERYWHERE = {
    "the clock enforces the deadlines of targeted promises only": """
        a_deadline_settles_what_is_external a_deadline_that_is_noticed_late_still_settles_at_its_instant
        deadlines_come_in_their_order an_earlier_deadline_is_met_though_a_later_one_was_first
        a_timer_resumes_who_waits_for_it deadlines_are_not_for_targeted_promises_only""",
    "a timer may have a target": "create_refuses_what_is_both_timer_and_targeted",
    "a preload is what has the task's branch for a tag, and not what was made through its fence": """
        a_claim_preloads_the_history_of_its_branch a_claim_of_the_difference_preloads_what_settled
        a_preload_is_complete_whatever_the_order_of_its_ids suspend_redirects_when_something_has_settled""",
    "a suspend is redirected for what it names only, not for what has settled since": """
        suspend_redirects_when_earlier_callbacks_have_fired""",
    "a suspend may name a promise twice": "suspend_is_refused_where_it_cannot_work",
    "a task may wait for a promise that nothing would settle": """
        callback_is_refused_where_it_cannot_work nobody_waits_for_an_internal_promise""",
    "a task whose promise is past its deadline is offered once more": "a_drain_does_not_resume_a_dead_awaiter",
    "a fenced settlement as timed out is refused as a whole, and not inside": "a_client_cannot_time_out_a_promise",
}
IN_PROCESS = {
    "it has no searches": """
        a_search_finds_all_in_the_order_of_ids pages_are_disjoint_and_complete a_search_matches_all_tags
        pages_are_stable_while_others_create a_search_filters_by_what_reads_now a_search_refuses_what_is_malformed
        tasks_are_searched_by_state_and_their_promises_tags schedules_are_searched_by_tags""",
    "any address will do": "listener_is_refused_where_it_cannot_work what_could_never_be_dispatched_is_refused",
    "a task may settle its own promise through its fence": "fence_refuses_the_task_s_own_promise",
    "a lease may be of no length": "a_lease_of_no_length_is_refused",
    "a schedule is not checked for what could not fire": "create_refuses_what_cannot_fire",
    "a missed occurrence is dated when it was noticed": "a_schedule_catches_up_on_what_it_missed",
}
RUST = {
    "a delay is not honoured": """
        a_delay_holds_the_first_dispatch_back a_dead_workflow_is_not_offered_again""",
    "a listener may wait for a promise that nothing would settle": "listener_is_refused_where_it_cannot_work",
    "a callback on a settled promise counts as a resume": "callback_on_a_settled_promise_is_answered_with_it",
    "a schedule that never fires is taken, and fires each minute": "create_refuses_what_cannot_fire",
    "a search goes by what is stored, not by what reads now; that of tasks knows no tags": """
        a_search_filters_by_what_reads_now tasks_are_searched_by_state_and_their_promises_tags""",
}


def by_check(*sentences: Mapping[str, str]) -> dict[str, str]:
    return {name: sentence for each in sentences for sentence, names in each.items() for name in names.split()}


@pytest.fixture(scope="module", params=[NODE, *([OWN] * bool(peers.COMMAND))])
def debugged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server in debug mode, and where it differs."""
    if request.param == NODE:
        if why_not := peers.no_node():
            pytest.skip(why_not)
        with peers.node_server("--debug") as process:
            name = f"{process.hello['package']} (its in-process server)"
            yield Server(name, process.hello["url"]), by_check(EVERYWHERE, IN_PROCESS)
        return
    options = ("--debug", "--messages-poll-interval", "2", "--timeouts-poll-interval", "100000000")
    with peers.OwnServer(tmp_path_factory.mktemp("debugged"), options) as own:
        server = Server(f"Resonate server ({peers.COMMAND.split()[0]})", own.url)
        if server.takes(":"):
            pytest.skip("this server is older than the one of June 2026, whose differences are known")
        yield server, by_check(EVERYWHERE, RUST)


@pytest.mark.parametrize("check", RULES, ids=lambda check: check.__name__)
async def test_contract(check: StoreCheck, debugged: tuple[Server, dict[str, str]], record_property: Any) -> None:
    server, differences = debugged
    dotted = not server.takes(":") and not check.__module__.endswith((".schedules", ".searches"))
    record_property("row", "the store's contract")
    record_property("column", server.name)
    difference = differences.get(check.__name__)
    async with asyncio.timeout(30):
        if difference is None:
            try:
                await _run(check, server, dotted=dotted)
            except AssertionError:  # on a busy machine a message takes longer
                await _run(check, server, dotted=dotted, arrival=0.2)
            return
        record_property("differs", "yes")
        record_property("difference", difference)
        with pytest.raises(AssertionError):
            await _run(check, server, dotted=dotted)


async def _run(check: StoreCheck, server: Server, *, dotted: bool, arrival: float = 0.01) -> None:
    await run_store_check(
        check, lambda clock: DebuggedServer(server.url, clock, dotted, arrival), retry_interval=RETRY_MS
    )


def test_every_difference_is_about_a_rule() -> None:
    assert set(by_check(EVERYWHERE, IN_PROCESS, RUST)) <= {check.__name__ for check in RULES}
