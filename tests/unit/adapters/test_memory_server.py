import asyncio
import gc
import threading
import warnings
from contextlib import suppress

import pytest

from resonate.adapters.memory import MemoryServer, MemoryStore
from resonate.adapters.memory import server as server_module
from resonate.core.protocol.records import Execute, PromiseState, TaskState, Unblock
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseSettle,
    TaskAcquire,
    TaskCreate,
    TaskRelease,
    TaskSuspend,
)
from resonate.core.protocol.settings import Settings
from resonate.errors import StoreError, UsageError
from resonate.testing import VirtualClock

DAY = 86_400_000
TARGET = {"resonate:target": "poll://any@g"}
TIMER = {"resonate:timer": "true"}
EXTERNAL = {"resonate:external": "true"}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(auto_jump=False)


@pytest.fixture
def server(clock: VirtualClock) -> MemoryServer:
    return MemoryServer(clock)


async def started(server: MemoryServer, pid: str = "p", group: str = "g") -> MemoryStore:
    store = server.connect(group=group, pid=pid)
    await store.start()
    return store


def create(server: MemoryServer, id: str, tags=None, after: int = DAY) -> None:
    server.ask(PromiseCreate(id=id, timeout_at=server.clock.now() + after, tags=tags or {}))


def state(server: MemoryServer, id: str) -> PromiseState:
    """Return the state as stored, not as it reads."""
    return next(promise.record.state for promise in server.snapshot().promises if promise.record.id == id)


async def unread(store: MemoryStore) -> list[object]:
    """Return what lies in a store's mailbox, and read it."""
    found = list[object]()
    with suppress(TimeoutError):
        while True:
            found.append(await asyncio.wait_for(anext(store.messages()), 0.01))
    return found


# ---------------------------------------------------------------- a store


async def test_the_errors_say_what_to_do(server: MemoryServer) -> None:
    store = server.connect(group="g", pid="p")
    with pytest.raises(UsageError, match="not been started"):
        await store.send(PromiseGet("p"))
    with pytest.raises(UsageError, match="not been started"):
        store.messages()
    await store.start()
    await store.stop()
    with pytest.raises(StoreError, match="been stopped"):
        await store.send_all([])


async def test_a_store_can_be_started_again(server: MemoryServer) -> None:
    store = await started(server)
    await store.stop()
    create(server, "p", TARGET)
    await store.start()
    assert await unread(store) == [Execute("p", 0)]
    await store.stop()


async def test_the_snapshot_shows_all_that_is_stored(server: MemoryServer, clock: VirtualClock) -> None:
    create(server, "b", TARGET)
    create(server, "a", EXTERNAL)
    server.ask(PromiseRegisterCallback(awaited="a", awaiter="b"))
    server.ask(PromiseRegisterListener(awaited="a", address="poll://any@g"))
    snapshot = server.snapshot()
    assert snapshot.now == clock.now()
    assert [promise.record.id for promise in snapshot.promises] == ["a", "b"]
    assert (snapshot.promises[0].callbacks, snapshot.promises[0].listeners) == (("b",), ("poll://any@g",))
    assert [(task.id, task.state, task.retry_at) for task in snapshot.tasks] == [
        ("b", TaskState.PENDING, clock.now() + 5_000)
    ]
    assert [(entry.address, entry.message) for entry in snapshot.outbox] == [("poll://any@g", Execute("b", 0))]


# ---------------------------------------------------------------- the post


async def test_who_starts_has_the_work_at_once(server: MemoryServer, clock: VirtualClock) -> None:
    create(server, "p", TARGET)
    create(server, "mine", {"resonate:target": "poll://uni@g/p"})
    create(server, "other's", {"resonate:target": "poll://uni@g/q"})
    store = await started(server)
    assert await unread(store) == [Execute("p", 0), Execute("mine", 0)]
    assert [entry.message for entry in server.snapshot().outbox] == [Execute("other's", 0)]
    await store.stop()


async def test_what_was_kept_and_is_stale_is_not_delivered(server: MemoryServer) -> None:
    create(server, "settled", TARGET)
    create(server, "taken", TARGET)
    server.ask(PromiseSettle(id="settled", state=PromiseState.RESOLVED))
    server.ask(TaskAcquire(id="taken", version=0, pid="x", ttl=1_000))
    store = await started(server)
    assert await unread(store) == []
    assert server.snapshot().outbox == ()
    await store.stop()


async def test_what_was_not_read_is_replaced(server: MemoryServer, clock: VirtualClock) -> None:
    one, two = await started(server, "1"), await started(server, "2")
    create(server, "p", TARGET)
    await clock.advance(50_000)
    assert len(server.snapshot().outbox) == 1
    server.ask(TaskAcquire(id="p", version=0, pid="x", ttl=1_000))
    server.ask(TaskRelease(id="p", version=1))
    assert [*await unread(one), *await unread(two)] == [Execute("p", 1)]
    await one.stop()
    await two.stop()


async def test_what_a_stopped_store_has_not_read_goes_to_others(server: MemoryServer) -> None:
    one = await started(server, "1")
    create(server, "p", TARGET)
    create(server, "q", {"resonate:target": "poll://uni@g/1"})
    two = await started(server, "2")
    await one.stop()
    assert await unread(two) == [Execute("p", 0)]
    assert [entry.message for entry in server.snapshot().outbox] == [Execute("q", 0)]
    await two.stop()


async def test_members_take_turns(server: MemoryServer) -> None:
    stores = [await started(server, str(number)) for number in range(3)]
    for number in range(30):
        create(server, f"p{number}", TARGET)
    assert [len(await unread(store)) for store in stores] == [10, 10, 10]
    for store in stores:
        await store.stop()


async def test_of_two_connections_of_one_name_the_newer_is_reached(server: MemoryServer) -> None:
    old, new = await started(server), await started(server)
    create(server, "p", {"resonate:target": new.unicast})
    assert (await unread(old), await unread(new)) == ([], [Execute("p", 0)])
    await new.stop()
    create(server, "q", {"resonate:target": new.unicast})
    assert await unread(old) == [Execute("q", 0)]
    await old.stop()


async def test_an_unblock_for_nobody_is_dropped(server: MemoryServer) -> None:
    create(server, "p", EXTERNAL)
    for address in ("poll://uni@g/p", "https://example.org/hook"):
        server.ask(PromiseRegisterListener(awaited="p", address=address))
    server.ask(PromiseSettle(id="p", state=PromiseState.RESOLVED))
    assert server.snapshot().outbox == ()


async def test_an_execute_for_another_scheme_is_not_kept(server: MemoryServer) -> None:
    create(server, "p", {"resonate:target": "https://example.org/hook"})
    assert server.snapshot().outbox == ()


async def test_a_reader_that_is_cancelled_loses_nothing(server: MemoryServer) -> None:
    store = await started(server)
    reader = asyncio.create_task(anext(store.messages()))
    await asyncio.sleep(0)
    create(server, "p", TARGET)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert await unread(store) == [Execute("p", 0)]
    await store.stop()


async def test_a_message_from_another_thread_wakes_the_reader() -> None:
    server = MemoryServer(VirtualClock(auto_jump=False))  # so that no retry can wake it
    store = await started(server)
    reader = asyncio.create_task(anext(store.messages()))
    await asyncio.sleep(0)
    thread = threading.Timer(0.01, create, (server, "p", TARGET))
    thread.start()
    assert await asyncio.wait_for(reader, 60) == Execute("p", 0)
    thread.join()
    await store.stop()


# ---------------------------------------------------------------- the alarm


class CountingClock(VirtualClock):
    sleeps = 0

    async def sleep_until(self, instant: int) -> None:
        self.sleeps += 1
        await super().sleep_until(instant)


async def test_the_alarm_is_set_again_only_for_an_earlier_instant() -> None:
    clock = CountingClock(auto_jump=False)
    server = MemoryServer(clock)
    store = await started(server)
    for number in range(100):
        create(server, f"p{number}", TIMER, 1_000 + number)
        await asyncio.sleep(0)
    assert clock.sleeps == 1
    for after in range(900, 500, -1):
        create(server, f"sooner{after}", TIMER, after)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert clock.sleeps == 2
    assert len(asyncio.all_tasks()) == 2
    await store.stop()


async def test_nothing_sleeps_when_nothing_is_due() -> None:
    clock = CountingClock(auto_jump=False)
    store = await started(MemoryServer(clock))
    await store.send(PromiseCreate(id="p", timeout_at=clock.now() + DAY))
    await asyncio.sleep(0)
    assert clock.sleeps == 0
    await store.stop()


async def test_nothing_is_left_on_the_loop_after_the_last_stop(server: MemoryServer, clock: VirtualClock) -> None:
    one, two = await started(server, "1"), await started(server, "2")
    create(server, "p", TIMER, 1_000)
    await asyncio.sleep(0)
    await one.stop()
    await clock.advance(1_000)
    assert state(server, "p") is PromiseState.RESOLVED
    create(server, "q", TIMER, 1_000)
    await asyncio.sleep(0)
    create(server, "sooner", TIMER, 500)
    await two.stop()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_timers_go_on_after_a_restart(server: MemoryServer, clock: VirtualClock) -> None:
    store = await started(server)
    create(server, "p", TIMER, 1_000)
    await asyncio.sleep(0)
    await store.stop()
    await store.start()
    await clock.advance(1_000)
    assert state(server, "p") is PromiseState.RESOLVED
    await store.stop()


async def test_what_came_due_while_nobody_was_there_is_done_at_the_next_start(
    server: MemoryServer, clock: VirtualClock
) -> None:
    create(server, "p", TIMER, 1_000)
    clock.jump_to(clock.now() + 2_000)
    assert state(server, "p") is PromiseState.PENDING
    store = await started(server)
    assert state(server, "p") is PromiseState.RESOLVED
    await store.stop()


def test_timers_go_on_when_the_loop_of_the_first_store_has_ended() -> None:
    clock = VirtualClock()
    server = MemoryServer(clock)
    first_is_up, second_is_up, first_is_gone = threading.Event(), threading.Event(), threading.Event()

    async def second() -> None:
        first_is_up.wait(60)
        store = await started(server, "2")
        second_is_up.set()
        await asyncio.to_thread(first_is_gone.wait, 60)
        create(server, "p", TIMER, 1_000)
        server.ask(PromiseRegisterListener(awaited="p", address=store.unicast))
        message = await asyncio.wait_for(anext(store.messages()), 60)
        assert isinstance(message, Unblock)
        await store.stop()

    async def first() -> None:
        await started(server, "1")  # and never stopped
        first_is_up.set()
        await asyncio.to_thread(second_is_up.wait, 60)

    thread = threading.Thread(target=asyncio.run, args=(first(),))
    thread.start()

    def watch() -> None:
        thread.join(60)
        first_is_gone.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    asyncio.run(second())
    watcher.join(60)


def test_a_message_to_a_store_whose_loop_has_ended_hurts_nobody(server: MemoryServer) -> None:
    loop = asyncio.new_event_loop()
    store = loop.run_until_complete(started(server))
    reader = loop.create_task(anext(store.messages()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    reader._log_destroy_pending = False
    create(server, "p", TARGET)
    server.ask(PromiseSettle(id="p", state=PromiseState.RESOLVED))
    assert state(server, "p") is PromiseState.RESOLVED


def test_an_alarm_that_is_set_in_the_last_turn_of_a_loop_leaves_nothing_to_warn_of(server: MemoryServer) -> None:
    loop = asyncio.new_event_loop()
    store = loop.run_until_complete(started(server))
    for work in (lambda: create(server, "p", TIMER, 1_000), lambda: None):  # it is set, and then begins
        loop.call_soon(work)
        loop.call_soon(loop.stop)
        loop.run_forever()
    (alarm,) = asyncio.all_tasks(loop)
    alarm._log_destroy_pending = False
    loop.close()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        server._alarms.clear()
        del alarm, store, loop
        gc.collect()
    assert [str(warning.message) for warning in warned] == []


async def test_an_alarm_that_a_stranger_cancels_is_set_again(server: MemoryServer, clock: VirtualClock) -> None:
    store = await started(server)
    create(server, "p", TIMER, 1_000)
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    for _ in range(2):  # it ends in the first turn, and says so in the second
        await asyncio.sleep(0)
    create(server, "q", TIMER, 2_000)
    await clock.advance(2_000)
    assert (state(server, "p"), state(server, "q")) == (PromiseState.RESOLVED, PromiseState.RESOLVED)
    await store.stop()


# ---------------------------------------------------------------- much at once


async def test_much_that_is_due_is_done_in_slices(
    server: MemoryServer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MAX_STEPS", 10)
    store = await started(server)
    create(server, "shared", EXTERNAL)
    for number in range(50):
        action = PromiseCreate(id=f"p{number}", timeout_at=clock.now() + DAY, tags=TARGET)
        await store.send(TaskCreate(pid="p", ttl=DAY, action=action))
        actions = (PromiseRegisterCallback(awaited="shared", awaiter=f"p{number}"),)
        await store.send(TaskSuspend(id=f"p{number}", version=1, actions=actions))
    await store.send(PromiseSettle(id="shared", state=PromiseState.RESOLVED))
    assert sum(task.state is TaskState.PENDING for task in server.snapshot().tasks) == 10
    for _ in range(4):
        await asyncio.sleep(0)
    assert sum(task.state is TaskState.PENDING for task in server.snapshot().tasks) < 50
    await clock.advance(0)
    assert len(server.snapshot().outbox) == 50
    await store.stop()


async def test_listeners_beyond_a_slice_are_told_too(
    server: MemoryServer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MAX_STEPS", 10)
    store = await started(server)
    create(server, "shared", EXTERNAL)
    for number in range(50):
        await store.send(PromiseRegisterListener(awaited="shared", address=f"poll://uni@g/p{number}"))
    await store.send(PromiseSettle(id="shared", state=PromiseState.RESOLVED))
    assert len(server.snapshot().promises[0].listeners) == 40
    await clock.advance(0)
    assert server.snapshot().promises[0].listeners == ()
    await store.stop()


def test_requests_of_many_threads_are_one_after_another(server: MemoryServer) -> None:
    won = list[str]()

    def work(name: str) -> None:
        for number in range(300):
            deadline = server.clock.now() + DAY
            reply = server.ask(
                TaskCreate(pid=name, ttl=DAY, action=PromiseCreate(id=f"p{number}", timeout_at=deadline, tags=TARGET))
            )
            if getattr(reply, "task", None) is not None:
                won.append(f"p{number}")

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(won) == sorted(f"p{number}" for number in range(300))


async def test_the_retry_interval_is_a_setting(clock: VirtualClock) -> None:
    server = MemoryServer(clock, Settings(retry_interval=100))
    store = await started(server)
    create(server, "p", TARGET)
    assert await unread(store) == [Execute("p", 0)]
    await clock.advance(100)
    assert await unread(store) == [Execute("p", 0)]
    await store.stop()


async def test_time_never_runs_backwards_for_the_server() -> None:
    class Faulty(VirtualClock):
        offset = 0

        def now(self) -> int:
            return super().now() + self.offset

    clock = Faulty(auto_jump=False)
    server = MemoryServer(clock)
    before = server.snapshot().now
    clock.offset = -1_000
    assert server.snapshot().now == before
