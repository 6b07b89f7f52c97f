"""The pool that runs `def` steps: bounded, in order, and ended when it is told to."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path

import pytest

from resonate.runtime.threads import Threads

SOON = 60
DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture(params=["as they are", "no eventfd", "no descriptor left"])
def gates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_count: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    if request.param == "no eventfd":
        monkeypatch.delattr(os, "eventfd", raising=False)
    elif request.param == "no descriptor left":
        monkeypatch.setattr(os, "eventfd", fails, raising=False)


@pytest.fixture
def pool(gates: None) -> Iterator[Threads]:
    pool = Threads(3, "pool-under-test")
    yield pool
    pool.shutdown(cancel_futures=True)
    assert not threads()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pool-under-test")]


def test_it_gives_what_a_call_returns_and_raises(pool):
    assert pool.submit(divmod, 7, 2).result(SOON) == (3, 1)
    assert pool.submit(int, "101", base=2).result(SOON) == 5
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(SOON)
    with pytest.raises(SystemExit):
        pool.submit(exit, 3).result(SOON)
    assert list(pool.map(abs, [-1, -2])) == [1, 2]


def test_calls_that_need_each_other_run_at_once_up_to_the_bound(pool):
    for _ in range(200):
        together = threading.Barrier(3, timeout=SOON)
        for future in [pool.submit(together.wait) for _ in range(3)]:
            future.result(SOON)
    assert len(threads()) == 3


def test_no_more_run_than_there_may_be_threads(pool):
    free, begun = threading.Event(), []

    def call(n: int) -> int:
        begun.append(n)
        free.wait()
        return n

    futures = [pool.submit(call, n) for n in range(9)]
    assert len(begun) <= 3
    free.set()
    assert [future.result(SOON) for future in futures] == list(range(9))


def test_what_has_to_wait_begins_in_order():
    pool, ran = Threads(1, "pool-under-test"), []
    for n in range(100):
        pool.submit(ran.append, n)
    pool.shutdown()
    assert ran == list(range(100))


def test_one_thread_is_enough_for_calls_that_come_one_after_another(pool):
    assert pool.submit(abs, -1).result(SOON) == 1
    limit = time.monotonic() + SOON
    while not pool._idle and time.monotonic() < limit:  # it has returned, and is about to wait
        time.sleep(0)
    assert pool.submit(abs, -1).result(SOON) == 1
    assert len(threads()) == 1


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signals to threads")
def test_a_signal_does_not_end_a_thread_that_waits(pool):
    assert pool.submit(abs, -1).result(SOON) == 1
    [thread] = threads()
    before = signal.signal(signal.SIGUSR1, lambda _signal, _frame: None)
    try:
        for _ in range(200):
            signal.pthread_kill(thread.ident, signal.SIGUSR1)
            time.sleep(0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert thread.is_alive()
    assert pool.submit(abs, -2).result(SOON) == 2
    assert threads() == [thread]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_that_closes_the_pool_does_not_end_its_parents_threads():
    script = textwrap.dedent(f"""
        import os
        import threading
        import warnings
        from resonate.runtime.threads import Threads

        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, which this is about
        pool, ran = Threads(1, "pool"), []
        while not pool._idle:
            ran = ran or [pool.submit(threading.get_ident).result()]
        for _ in range(20):
            child = os.fork()
            if not child:
                pool.shutdown(wait=False)
                os._exit(0)
            os.waitpid(child, 0)
            assert pool.submit(threading.get_ident).result({SOON}) == ran[0]
        print("ended by itself")
    """)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=SOON, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "ended by itself\n", "")


def test_a_call_that_was_canceled_before_it_began_does_not_begin(pool):
    free, ran = threading.Event(), []
    busy = [pool.submit(free.wait) for _ in range(3)]
    waiting = pool.submit(ran.append, 1)
    assert waiting.cancel()
    free.set()
    assert all(future.result(SOON) for future in busy)
    assert pool.submit(len, ran).result(SOON) == 0


def test_a_pool_that_is_closed_takes_nothing_and_finishes_what_it_has(pool):
    free = threading.Event()
    futures = [pool.submit(free.wait) for _ in range(5)]
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(abs, 1)
    free.set()
    assert all(future.result(SOON) for future in futures)


def test_a_pool_that_is_closed_at_once_cancels_what_waits(pool):
    free = threading.Event()
    futures = [pool.submit(free.wait) for _ in range(5)]
    pool.shutdown(wait=False, cancel_futures=True)
    free.set()
    assert all(future.result(SOON) for future in futures[:3])
    for future in futures[3:]:
        with pytest.raises(CancelledError):
            future.result(SOON)


def test_no_process_waits_for_its_threads(pool):
    free = threading.Event()
    pool.submit(free.wait)
    assert [thread.daemon for thread in threads()] == [True]
    free.set()


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="this system does not list a process's descriptors")
def test_a_closed_pool_has_given_back_its_descriptors():
    gc.collect()
    before = eventfds()
    pool, together = Threads(3, "pool-under-test"), threading.Barrier(4, timeout=SOON)
    for _ in range(3):
        pool.submit(together.wait)
    together.wait()
    assert eventfds() - before
    pool.shutdown()
    assert eventfds() <= before  # those of earlier tests may be given back meanwhile


def eventfds() -> set[str]:
    found = set()
    for descriptor in DESCRIPTORS.iterdir():
        with suppress(OSError):  # closed meanwhile, as that of this look
            found |= {descriptor.name} if "eventfd" in str(descriptor.readlink()) else set()
    return found
