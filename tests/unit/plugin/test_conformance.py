"""The conformance kit, run as a stranger runs it."""

from __future__ import annotations

import pytest

from resonate.testing.contracts import CLOCK_CHECKS, CODEC_CHECKS, STORE_CHECKS
from tests.docs.pages import ROOT, blocks

KIT = ("-q", "--pyargs", "resonate.testing.conformance")

MINE = """
    from attrs import evolve
    from resonate import JsonCodec, MemoryServer
    from resonate.core.protocol.requests import TaskFence, PromiseCreate
    from resonate.runtime.relay import Relay
    from resonate.testing import VirtualClock
    from resonate.testing.contracts import Samples

    SAMPLES = Samples(values=[({1, 2}, set[int])])

    class Backend:
        def __init__(self, store, clock):
            self.store, self.inner = store, MemoryServer(clock)

        def connect(self, **who):
            return self.store(self.inner.connect(**who))

    class NoSearches(Relay):
        @property
        def dialect(self):
            return evolve(self.inner.dialect, searches=False)

    class NoFence(Relay):
        async def send(self, request):
            if isinstance(request, TaskFence):
                request = evolve(request, version=1)
            return await self.inner.send(request)

    class Managed:
        left = 0

        def __init__(self, clock):
            self.clock = clock

        def __enter__(self):
            return MemoryServer(self.clock)

        def __exit__(self, *_):
            Managed.left += 1
            open("left", "w").write(str(Managed.left))

    def no_searches(clock):
        return Backend(NoSearches, clock)

    def no_fence(clock):
        return Backend(NoFence, clock)

    def nothing(clock):
        return None
"""


def test_our_own_adapters_pass_and_what_is_not_given_is_skipped_with_its_reason(run):
    ended = run(*KIT, "-rs", "--store", "mine:MemoryServer", mine=MINE)
    ended.counts(passed=len(STORE_CHECKS), skipped=len(CODEC_CHECKS) + len(CLOCK_CHECKS))
    assert "no codec was given: --codec module:name" in ended.text
    ended = run(*KIT, "--codec", "mine:JsonCodec", "--codec-samples", "mine:SAMPLES", "--clock", "mine:VirtualClock")
    ended.counts(passed=len(CODEC_CHECKS) + len(CLOCK_CHECKS), skipped=len(STORE_CHECKS))


def test_the_store_of_the_documentation_passes(run):
    page = ROOT / "docs" / "guide" / "store.md"
    source = "\n".join(one.text for one in blocks(page) if 'title="journal.py"' in one.info)
    ended = run(*KIT, "--store", "journal:make_store", "-k", "test_store", journal=source)
    ended.counts(passed=len(STORE_CHECKS), deselected=len(CODEC_CHECKS) + len(CLOCK_CHECKS))


def test_a_store_that_breaks_a_promise_fails_under_the_name_of_that_promise(run):
    ended = run(*KIT, "--store", "mine:no_fence", "-k", "test_store and tasks", "-rf", "--tb=line", mine=MINE)
    assert ended.code == 1
    assert "test_store[tasks-" in ended.text
    assert "must be refused with 409" in ended.text


def test_a_store_without_searches_is_not_asked_for_them(run):
    ended = run(*KIT, "--store", "mine:no_searches", "-k", "searches", "-rs", mine=MINE)
    assert "passed" not in ended.text
    assert "its dialect says that it serves no searches" in ended.text


def test_a_backend_that_is_a_context_manager_is_left(run, tmp_path):
    run(*KIT, "--store", "mine:Managed", "-k", "test_store and promises", mine=MINE)
    assert int((tmp_path / "left").read_text()) > 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mine:absent", "has no attribute 'absent'"),
        ("nowhere:make", "No module named 'nowhere'"),
    ],
)
def test_what_cant_be_found_ends_the_run_at_once(run, given, said):
    ended = run(*KIT, "--store", given, mine=MINE)
    assert ended.code == 4
    assert said in ended.text


def test_what_is_no_backend_is_said(run):
    ended = run(*KIT, "--store", "mine:nothing", "-k", "test_store and promises", "-x", mine=MINE)
    assert "--store makes a backend" in ended.text


def test_its_short_options_are_there_where_it_is_run_and_nowhere_else(run):
    ended = run("--store", "mine:MemoryServer", mine=MINE, test_one="def test_one(): pass")
    assert ended.code == 4
    assert "unrecognized arguments: --store" in ended.text
    other = """
        def pytest_addoption(parser):
            parser.addoption("--store")
    """
    run("--store", "theirs", conftest=other, test_one="def test_one(): pass").counts(passed=1)
