import asyncio
import gc
import threading
import time
from datetime import timedelta

import pytest

from resonate.errors import UsageError
from resonate.testing.clock import VirtualClock

DAY = 86_400_000


def manual(start: int = 0) -> VirtualClock:
    return VirtualClock(start, auto_jump=False)


async def note(clock: VirtualClock, seen: list[tuple[str, int]], name: str, instant: int) -> None:
    await clock.sleep_until(instant)
    seen.append((name, clock.now()))


# ---------------------------------------------------------------- jumping by itself


async def test_a_day_takes_no_time() -> None:
    clock = VirtualClock(0)
    started = time.monotonic()
    await clock.sleep_until(DAY)
    assert clock.now() == DAY
    assert time.monotonic() - started < 60


def test_it_works_under_asyncio_run() -> None:
    clock = VirtualClock(0)
    asyncio.run(clock.sleep_until(DAY))
    asyncio.run(clock.sleep_until(2 * DAY))
    assert clock.now() == 2 * DAY


async def test_sleepers_wake_in_the_order_of_their_instants() -> None:
    clock, seen = VirtualClock(0), list[tuple[str, int]]()
    await asyncio.gather(*(note(clock, seen, str(at), at) for at in (30, 10, 20, 10)))
    assert seen == [("10", 10), ("10", 10), ("20", 20), ("30", 30)]


async def test_time_stands_still_while_there_is_work() -> None:
    clock = VirtualClock(0)
    sleeper = asyncio.create_task(clock.sleep_until(10))
    for _ in range(1_000):
        await asyncio.sleep(0)
        assert clock.now() == 0
    await sleeper
    assert clock.now() == 10


async def test_time_stands_still_while_a_thread_is_said_to_work() -> None:
    clock, go = VirtualClock(0), threading.Event()
    sleeper = asyncio.create_task(clock.sleep_until(10))
    with clock.busy():
        work = asyncio.get_running_loop().run_in_executor(None, go.wait, 60)
        await asyncio.sleep(0.02)
        assert clock.now() == 0
        go.set()
        assert await work
    assert clock.now() == 0
    await sleeper
    assert clock.now() == 10


async def test_leaving_busy_in_a_thread_lets_time_go_on() -> None:
    clock, entered, go = VirtualClock(0), threading.Event(), threading.Event()

    def work() -> None:
        with clock.busy():
            entered.set()
            go.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(60)
    sleeper = asyncio.create_task(clock.sleep_until(10))
    await asyncio.sleep(0.01)
    assert clock.now() == 0
    go.set()
    await sleeper
    thread.join()


async def test_a_real_timer_does_not_hold_time_back() -> None:
    clock = VirtualClock(0)
    real = asyncio.create_task(asyncio.sleep(60))
    await clock.sleep_until(DAY)
    assert not real.done()
    real.cancel()


async def test_work_that_a_sleeper_starts_is_done_at_its_instant() -> None:
    clock, seen = VirtualClock(0), list[int]()

    async def chain() -> None:
        await clock.sleep_until(10)
        for _ in range(50):
            await asyncio.sleep(0)
            seen.append(clock.now())

    await asyncio.gather(chain(), clock.sleep_until(11))
    assert seen == [10] * 50


async def test_with_nobody_asleep_the_loop_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock(0)
    await clock.sleep_until(10)
    await asyncio.sleep(0)
    turns, soon = 0, asyncio.get_running_loop().call_soon

    def counted(*args, **kwargs):
        nonlocal turns
        turns += 1
        return soon(*args, **kwargs)

    monkeypatch.setattr(asyncio.get_running_loop(), "call_soon", counted)
    await asyncio.sleep(0.02)
    assert turns < 10


async def test_two_clocks_on_one_loop_both_jump() -> None:
    one, two = VirtualClock(0), VirtualClock(0)
    await asyncio.wait_for(asyncio.gather(one.sleep_until(DAY), two.sleep_until(DAY)), 60)
    assert (one.now(), two.now()) == (DAY, DAY)


async def test_a_loop_that_hides_its_queue_is_given_some_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resonate.testing.clock._ready", lambda loop: None)
    clock = VirtualClock(0)
    await asyncio.wait_for(clock.sleep_until(DAY), 60)
    assert clock.now() == DAY


# ---------------------------------------------------------------- being moved


async def test_time_that_is_not_moved_stands() -> None:
    clock = manual()
    sleeper = asyncio.create_task(clock.sleep_until(10))
    await asyncio.sleep(0.01)
    assert not sleeper.done()
    assert clock.now() == 0
    await clock.advance(10)
    assert sleeper.done()


async def test_advance_goes_from_instant_to_instant() -> None:
    clock, seen = manual(), list[tuple[str, int]]()

    async def relay() -> None:
        await note(clock, seen, "first", 10)
        for _ in range(5):
            await asyncio.sleep(0)
        await note(clock, seen, "then", 15)

    tasks = [asyncio.create_task(relay()), asyncio.create_task(note(clock, seen, "last", 20))]
    await clock.advance(20)
    assert seen == [("first", 10), ("then", 15), ("last", 20)]
    assert clock.now() == 20
    await asyncio.gather(*tasks)


async def test_advance_takes_a_timedelta() -> None:
    clock = manual()
    await clock.advance(timedelta(days=1))
    assert clock.now() == DAY


async def test_advance_stops_short_of_what_is_later() -> None:
    clock = manual()
    sleeper = asyncio.create_task(clock.sleep_until(11))
    await asyncio.sleep(0)
    await clock.advance(10)
    assert clock.now() == 10
    assert not sleeper.done()
    sleeper.cancel()


async def test_advance_by_nothing_lets_the_work_be_done() -> None:
    clock, turns = manual(), 0

    async def work() -> None:
        nonlocal turns
        for _ in range(20):
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(work())
    await clock.advance(0)
    assert turns == 20
    await task


async def test_an_advance_that_is_given_up_moves_nothing() -> None:
    clock = manual()
    with clock.busy():
        goal = asyncio.create_task(clock.advance(10))
        await asyncio.sleep(0)
        goal.cancel()
        await asyncio.gather(goal, return_exceptions=True)
    sleeper = asyncio.create_task(clock.sleep_until(5))
    await asyncio.sleep(0.01)
    assert clock.now() == 0
    sleeper.cancel()


async def test_an_instant_that_has_come_is_not_waited_for() -> None:
    clock = manual(10)
    for instant in (10, 9, 0, -1):
        await asyncio.wait_for(clock.sleep_until(instant), 60)


async def test_two_can_advance_at_once() -> None:
    clock = manual()
    await asyncio.gather(clock.advance(10), clock.advance(20))
    assert clock.now() == 20


async def test_a_jump_wakes_who_is_late_in_order() -> None:
    clock, seen = manual(), list[tuple[str, int]]()
    tasks = [asyncio.create_task(note(clock, seen, str(at), at)) for at in (20, 10, 40)]
    await asyncio.sleep(0)
    clock.jump_to(30)
    await clock.advance(0)
    assert seen == [("10", 30), ("20", 30)]
    tasks[2].cancel()


def test_a_jump_needs_no_loop() -> None:
    clock = VirtualClock(5)
    clock.jump_to(7)
    assert clock.now() == 7


async def test_time_does_not_run_backwards() -> None:
    clock = manual(10)
    with pytest.raises(UsageError, match="backwards"):
        clock.jump_to(9)
    with pytest.raises(UsageError):
        await clock.advance(-1)


# ---------------------------------------------------------------- leaving, loops, threads


async def test_a_cancelled_sleeper_holds_nothing() -> None:
    clock = VirtualClock(0)
    sleeper = asyncio.create_task(clock.sleep_until(10))
    await asyncio.sleep(0)
    sleeper.cancel()
    await clock.sleep_until(20)
    assert clock.now() == 20
    with pytest.raises(asyncio.CancelledError):
        await sleeper


async def test_cancelled_sleepers_are_not_kept() -> None:
    clock = manual()
    before = len(sleepers())  # of clocks of other tests
    first = asyncio.create_task(clock.sleep_until(1))
    for at in range(1, 2_000):
        sleeper = asyncio.create_task(clock.sleep_until(at + DAY))
        await asyncio.sleep(0)
        sleeper.cancel()
        await asyncio.gather(sleeper, return_exceptions=True)
    del sleeper
    assert len(sleepers()) - before < 200
    first.cancel()


def sleepers() -> list[object]:
    gc.collect()
    return [one for one in gc.get_objects() if type(one).__name__ == "_Sleeper"]


def test_sleepers_of_a_loop_that_ended_are_forgotten() -> None:
    clock = VirtualClock(0)

    async def leave() -> None:
        task = asyncio.create_task(clock.sleep_until(10))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    loop = asyncio.new_event_loop()
    task = loop.create_task(clock.sleep_until(15))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    asyncio.run(clock.sleep_until(20))
    assert clock.now() == 20
    task._log_destroy_pending = False


def test_a_loop_that_is_stopped_holds_nothing() -> None:
    clock = VirtualClock(0)
    loop = asyncio.new_event_loop()
    task = loop.create_task(clock.sleep_until(15))
    loop.call_soon(loop.stop)
    loop.run_forever()
    asyncio.run(asyncio.wait_for(clock.sleep_until(20), 60))
    assert clock.now() == 20
    loop.run_until_complete(task)
    loop.close()


def test_sleepers_on_two_loops_wake_in_order() -> None:
    clock, seen = VirtualClock(0), list[tuple[str, int]]()
    ready = threading.Barrier(2)

    def run(name: str, instants: list[int]) -> None:
        async def main() -> None:
            with clock.busy():
                tasks = [asyncio.create_task(note(clock, seen, name, at)) for at in instants]
                await asyncio.sleep(0)
                ready.wait(60)
            await asyncio.gather(*tasks)

        asyncio.run(main())

    threads = [
        threading.Thread(target=run, args=("a", [10, 30, 50])),
        threading.Thread(target=run, args=("b", [20, 40])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [("a", 10), ("b", 20), ("a", 30), ("b", 40), ("a", 50)]


def test_a_loop_waits_for_the_work_of_another() -> None:
    clock, seen = VirtualClock(0), list[int]()
    slept, go = threading.Event(), threading.Event()

    def run() -> None:
        async def main() -> None:
            await clock.sleep_until(1)
            slept.set()
            go.wait(60)
            seen.append(clock.now())

        asyncio.run(main())

    thread = threading.Thread(target=run)

    async def main() -> None:
        thread.start()
        await asyncio.get_running_loop().run_in_executor(None, slept.wait, 60)
        sleeper = asyncio.create_task(clock.sleep_until(10))
        await asyncio.sleep(0.05)
        assert not sleeper.done()
        go.set()
        await asyncio.wait_for(sleeper, 60)

    asyncio.run(main())
    thread.join(60)
    assert seen == [1]
    assert clock.now() == 10
