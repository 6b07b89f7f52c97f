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
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from resonate.runtime.threads import Call, Threads

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
    pool.close()
    for thread in threads():
        thread.join(SOON)
    assert not threads()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pool-under-test")]


def came_of(call: Call[Any]) -> Any:
    assert call.wait(SOON)
    return call.result()


def test_it_gives_what_a_call_returns_and_raises(pool):
    assert came_of(pool.submit(lambda: 7)) == 7
    with pytest.raises(ZeroDivisionError):
        came_of(pool.submit(lambda: 1 // 0))
    with pytest.raises(SystemExit):
        came_of(pool.submit(sys.exit))


def test_calls_that_need_each_other_run_at_once_up_to_the_bound(pool):
    for _ in range(200):
        together = threading.Barrier(3, timeout=SOON)
        for call in [pool.submit(together.wait) for _ in range(3)]:
            came_of(call)
    assert len(threads()) == 3


def test_no_more_run_than_there_may_be_threads(pool):
    free, begun = threading.Event(), []

    def waits(n: int) -> int:
        begun.append(n)
        free.wait()
        return n

    calls = [pool.submit(partial(waits, n)) for n in range(9)]
    assert len(begun) <= 3
    free.set()
    assert [came_of(call) for call in calls] == list(range(9))


def test_what_has_to_wait_begins_in_order():
    pool, ran = Threads(1, "pool-under-test"), []
    for n in range(100):
        last = pool.submit(partial(ran.append, n))
    came_of(last)
    assert ran == list(range(100))
    pool.close()
    for thread in threads():
        thread.join(SOON)


def test_one_thread_is_enough_for_calls_that_come_one_after_another(pool):
    assert came_of(pool.submit(partial(abs, -1))) == 1
    limit = time.monotonic() + SOON
    while not pool._idle and time.monotonic() < limit:  # it has returned, and is about to wait
        time.sleep(0)
    assert came_of(pool.submit(partial(abs, -1))) == 1
    assert len(threads()) == 1


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signals to threads")
def test_a_signal_does_not_end_a_thread_that_waits(pool):
    assert came_of(pool.submit(partial(abs, -1))) == 1
    [thread] = threads()
    before = signal.signal(signal.SIGUSR1, lambda _signal, _frame: None)
    try:
        for _ in range(200):
            signal.pthread_kill(thread.ident, signal.SIGUSR1)
            time.sleep(0)
        assert thread.is_alive()
        assert came_of(pool.submit(partial(abs, -2))) == 2  # by when it was delivered the last signal, too
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert threads() == [thread]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_that_closes_the_pool_does_not_end_its_parents_threads():
    script = textwrap.dedent(f"""
        import os
        import threading
        import warnings
        from resonate.runtime.threads import Threads

        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, which this is about
        def came_of(call):
            assert call.wait({SOON})
            return call.result()

        pool, ran = Threads(1, "pool"), []
        while not pool._idle:
            ran = ran or [came_of(pool.submit(threading.get_ident))]
        for _ in range(20):
            child = os.fork()
            if not child:
                pool.close()
                os._exit(0)
            os.waitpid(child, 0)
            assert came_of(pool.submit(threading.get_ident)) == ran[0]
        print("ended by itself")
    """)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=SOON, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "ended by itself\n", "")


def test_a_call_that_was_canceled_before_it_began_does_not_begin(pool):
    free, ran = threading.Event(), []
    busy = [pool.submit(free.wait) for _ in range(3)]
    waiting, after = pool.submit(partial(ran.append, 1)), pool.submit(partial(ran.append, 2))
    assert waiting.cancel()
    free.set()
    assert all(came_of(call) for call in busy)
    came_of(after)
    assert ran == [2]
    assert not waiting.is_over


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_call_may_be_canceled_in_the_middle_of_whatever_the_pool_does(pool):
    """As where the garbage collector closes who waits for it."""
    free, ran = threading.Event(), []
    busy = [pool.submit(free.wait) for _ in range(3)]
    canceled: list[bool] = []

    def cancels(_frame: object, _event: str, _arg: object) -> None:
        if waiting:
            canceled.append(waiting.pop().cancel())

    def hands_in() -> None:
        sys.setprofile(cancels)
        while waiting:
            handed_in.append(pool.submit(partial(ran.append, 1)))
        sys.setprofile(None)

    waiting = [pool.submit(partial(ran.append, 0)) for _ in range(30)]
    handed_in: list[Call[None]] = []
    thread = threading.Thread(target=hands_in, daemon=True)
    thread.start()
    thread.join(SOON)
    assert not thread.is_alive(), "it waits for itself"
    free.set()
    assert all(came_of(call) for call in busy)
    for call in handed_in:
        came_of(call)
    assert canceled == [True] * 30
    assert ran == [1] * len(handed_in)


def test_a_pool_may_be_closed_in_the_middle_of_whatever_it_does(gates):
    """As where the garbage collector ends who has it."""
    places = 0

    def hands_in(pool: Threads, place: int) -> None:
        nonlocal places
        passed = 0

        def closes(_frame: object, _event: str, _arg: object) -> None:
            nonlocal passed
            passed += 1
            if passed == place:
                pool.close()

        sys.setprofile(closes)
        try:
            with suppress(RuntimeError):  # it is closed
                for _ in range(3):
                    pool.submit(int)
        finally:
            sys.setprofile(None)
            places = max(places, passed)

    for place in range(1, 60):
        pool = Threads(2, "pool-under-test")
        thread = threading.Thread(target=hands_in, args=(pool, place), daemon=True)
        thread.start()
        thread.join(SOON)
        assert not thread.is_alive(), f"it waits for itself at {place}"
        pool.close()
        for own in threads():
            own.join(SOON)
        assert not threads()
    assert places > 20


def test_a_call_is_begun_or_canceled_and_not_both():
    canceled, begun = Call(int), Call(int)
    assert canceled.cancel()
    assert canceled.begin() is None
    assert canceled.cancel()
    assert begun.begin() is int
    assert not begun.cancel()
    assert begun.begin() is None


def test_a_thread_whose_start_was_interrupted_is_as_good_as_any(pool, monkeypatch):
    start = threading.Thread.start

    def is_interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt  # it waits there for the thread, and a signal's handler may raise

    monkeypatch.setattr(threading.Thread, "start", is_interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.submit(int)
    monkeypatch.undo()
    own, other = os.pipe()  # may be given the number of a descriptor that was closed too soon
    os.write(other, b"8 bytes!")
    limit = time.monotonic() + SOON
    while not pool._idle and time.monotonic() < limit:
        time.sleep(0)
    assert [came_of(pool.submit(int)) for _ in range(9)] == [0] * 9
    assert os.read(own, 8) == b"8 bytes!"
    os.close(own)
    os.close(other)


def test_a_listener_that_fails_is_told_of_and_the_thread_goes_on(pool, caplog):
    free = threading.Event()
    call = pool.submit(free.wait)
    call.tell(lambda call: call.fail())
    told = []
    call.tell(lambda call: told.append(call.result()))
    free.set()
    came_of(call)
    for number in range(9):
        assert came_of(pool.submit(partial(abs, -number))) == number
    pool.close()
    for thread in threads():
        thread.join(SOON)
    assert told == [True]
    assert [record.exc_info[0] for record in caplog.records] == [AttributeError]


def test_a_call_that_has_begun_can_not_be_canceled(pool):
    begun, free = threading.Event(), threading.Event()

    def runs() -> bool:
        begun.set()
        return free.wait()

    call = pool.submit(runs)
    assert begun.wait(SOON)
    assert not call.cancel()
    free.set()
    assert came_of(call)
    assert not call.cancel()


def test_who_waits_for_a_call_waits_no_longer_than_he_said(pool):
    free = threading.Event()
    call = pool.submit(free.wait)
    assert not call.wait(0.001)
    free.set()
    assert call.wait(SOON)
    assert call.wait(SOON)  # as often as one likes


def test_who_listens_is_told_in_the_thread_of_the_call_and_at_once_if_it_is_over(pool):
    free, told = threading.Event(), []

    def listener(call: Call[Any]) -> None:
        told.append((call.result(), threading.current_thread() in threads()))

    call = pool.submit(free.wait)
    call.tell(listener)
    assert not told
    free.set()
    came_of(call)
    pool.close()
    for thread in threads():
        thread.join(SOON)
    assert told == [(True, True)]
    call.tell(listener)
    assert told == [(True, True), (True, False)]


def test_nothing_is_left_for_the_garbage_collector_of_what_was_raised(pool):
    class Failed(Exception):
        pass

    def fails() -> None:
        raise Failed

    gc.collect()
    gc.disable()
    try:
        call = pool.submit(fails)
        assert call.wait(SOON)
        error = weakref.ref(call._error)
        del call
        limit = time.monotonic() + SOON
        while error() is not None and time.monotonic() < limit:  # the thread may still be at it
            time.sleep(0)
        assert error() is None
    finally:
        gc.enable()


def test_what_is_over_is_not_kept_alive_by_its_thread(pool):
    class Kept:
        pass

    def makes() -> Kept:
        return Kept()

    call = pool.submit(makes)
    made = weakref.ref(came_of(call))
    del call
    limit = time.monotonic() + SOON
    while made() is not None and time.monotonic() < limit:  # the thread may still be at it
        time.sleep(0)
    assert made() is None


def test_a_pool_that_is_closed_takes_nothing_begins_nothing_and_finishes_what_has_begun(pool):
    free = threading.Event()
    calls = [pool.submit(free.wait) for _ in range(5)]
    pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(free.wait)
    free.set()
    assert all(came_of(call) for call in calls[:3])
    for thread in threads():
        thread.join(SOON)
    assert [call.is_over for call in calls] == [True, True, True, False, False]


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
    pool.close()
    for thread in threads():
        thread.join(SOON)
    assert eventfds() <= before  # those of earlier tests may be given back meanwhile


def eventfds() -> set[str]:
    found = set()
    for descriptor in DESCRIPTORS.iterdir():
        with suppress(OSError):  # closed meanwhile, as that of this look
            found |= {descriptor.name} if "eventfd" in str(descriptor.readlink()) else set()
    return found
