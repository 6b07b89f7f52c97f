"""The blocking twin: the same client for code that has no event loop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from resonate import Conflict, Context, MemoryServer, NotFound, PromiseCanceled, PromiseState, UsageError
from resonate.sync import Handle, Resonate, _LoopThread
from resonate.testing import VirtualClock


def double(n: int) -> int:
    return 2 * n


async def rest(ctx: Context, seconds: float) -> str:
    await ctx.sleep(seconds)
    return "rested"


async def failing(ctx: Context) -> None:
    raise ValueError("the shop is closed")


async def asking(ctx: Context) -> str:
    return await (await ctx.options(id=f"{ctx.id}:question").promise(returns=str, timeout=10_000))


@pytest.fixture
def server():
    return MemoryServer(clock=VirtualClock())


@pytest.fixture
def real():
    """A client on real time: nothing is due until somebody does something."""
    with Resonate(grace=1) as resonate:
        resonate.register(double)
        yield resonate


@pytest.fixture
def resonate(server):
    """A client on virtual time, which passes while the test's thread thinks: nothing may be left pending."""
    with Resonate(server, grace=1) as resonate:
        for fn in (double, rest, failing):
            resonate.register(fn)
        yield resonate


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_run_blocks_until_there_is_a_result(resonate):
    assert resonate.run("a", double, 4) == 8
    assert resonate.run("b", "rest", 3600) == "rested"
    assert resonate.rpc("c", double, 5) == 10
    with pytest.raises(ValueError, match="the shop is closed"):
        resonate.run("d", failing)


def test_register_is_a_decorator_bare_and_with_arguments(resonate):
    @resonate.register
    def one() -> int:
        return 1

    @resonate.register(name="two", version=2, timeout=60)
    def another() -> int:
        return 2

    assert one() == 1
    assert resonate.run("a", one) == 1
    assert resonate.options(version=2, tags={"shop": "north"}).run("b", "two") == another()
    assert resonate.promises.get("b").tags["shop"] == "north"


def test_a_handle_is_waited_for_as_long_as_one_likes():
    # Real time, in which nothing happens until the promise is settled.
    with Resonate() as resonate:
        resonate.register(asking)
        handle = resonate.begin_run("a", asking)
        assert isinstance(handle, Handle)
        assert (handle.id, repr(handle), handle.done()) == ("a", "<Handle a>", False)
        with pytest.raises(TimeoutError, match=r"a has no result after 0\.01 s"):
            handle.result(timeout=0.01)
        resonate.promises.resolve("a:question", "yes")
        assert handle.result(timeout=timedelta(seconds=60)) == "yes"
        assert handle.done()
        assert resonate.begin_rpc("a", asking).result() == "yes"


def test_a_timeout_of_the_function_is_not_taken_for_that_of_the_wait(resonate):
    @resonate.register
    async def slow(ctx: Context) -> None:
        raise TimeoutError("the bank did not answer")

    with pytest.raises(TimeoutError, match="the bank did not answer"):
        resonate.begin_run("a", slow).result(timeout=60)


def test_get_and_cancel(real):
    real.promises.create("a")
    handle = real.get("a", returns=str)
    assert real.cancel("a")
    assert real.promises.get("a").state is PromiseState.REJECTED_CANCELED
    with pytest.raises(PromiseCanceled):
        handle.result()
    real.promises.create("b")
    assert real.get("b").cancel()
    with pytest.raises(NotFound, match="nobody"):
        real.get("nobody").result()


def test_promises(real):
    promises = real.promises
    for number in range(5):
        promises.create(f"p{number}", timeout=60, value=number, tags={"even": str(number % 2 == 0)})
    assert promises.resolve("p0", timedelta(hours=1), type=timedelta).state is PromiseState.RESOLVED
    assert promises.reject("p1", "no").state is PromiseState.REJECTED
    assert promises.cancel("p2").state is PromiseState.REJECTED_CANCELED
    assert promises.get("p3").state is PromiseState.PENDING
    assert [each.id for each in promises.search(tags={"even": "True"}, page=1)] == ["p0", "p2", "p4"]
    assert [each.id for each in promises.search(state="pending")] == ["p3", "p4"]
    assert real.get("p0", returns=timedelta).result() == timedelta(hours=1)


def test_schedules(real):
    made = real.schedule("s", "0 0 * * *", double, 2)
    assert real.schedules.get("s") == made
    assert [each.id for each in real.schedules.search()] == ["s"]
    real.schedules.delete("s")
    with pytest.raises(NotFound, match="no schedule s"):
        real.schedules.get("s")


def test_dependencies(resonate):
    resonate.set_dependency("region", "north")

    @resonate.register
    async def where(ctx: Context) -> str:
        return ctx.get_dependency("region")

    assert resonate.run("a", where) == "north"


def test_many_threads_use_one_client(resonate):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: resonate.run(f"{n % 20}", double, n % 20), range(100)))
    assert results == [2 * (n % 20) for n in range(100)]


def test_a_plain_step_may_use_it(resonate):
    @resonate.register
    def outer(n: int) -> int:
        return resonate.run(f"inner-{n}", double, n)

    assert resonate.run("a", outer, 3) == 6


def test_an_event_loop_is_not_blocked(resonate):
    async def main() -> None:
        for call in (
            lambda: resonate.run("a", double, 1),
            lambda: resonate.get("a"),
            lambda: Resonate().open(),
            lambda: next(resonate.promises.search()),
        ):
            with pytest.raises(UsageError, match=r"event loop runs.*to_thread"):
                call()
        assert await asyncio.to_thread(resonate.run, "a", double, 1) == 2

    asyncio.run(main())


def test_a_workflow_is_told_to_use_its_context(resonate):
    @resonate.register
    async def workflow(ctx: Context) -> None:
        resonate.run("b", double, 1)

    with pytest.raises(UsageError, match=r"inside a workflow.*ctx\.run"):
        resonate.run("a", workflow)


def test_errors_are_those_of_the_client(resonate):
    resonate.run("a", double, 1)
    with pytest.raises(Conflict, match=r"double\(1\).*double\(2\)"):
        resonate.run("a", double, 2)
    with pytest.raises(UsageError, match="open already"):
        resonate.open()


def test_a_client_that_is_not_open(server):
    resonate = Resonate(server)
    for call in (
        lambda: resonate.run("a", double, 1),
        lambda: resonate.get("a"),
        lambda: list(resonate.promises.search()),
    ):
        with pytest.raises(UsageError, match=r"not open.*with resonate"):
            call()
    resonate.close()


def test_it_leaves_no_thread_behind_and_can_be_opened_again(server):
    before = names()
    resonate = Resonate(server)
    resonate.register(double)
    for number in range(3):
        resonate.open()
        assert resonate.healthy
        assert resonate.run(f"{number}", double, number) == 2 * number
        resonate.close()
        assert not resonate.healthy
    assert {name for name in names() - before if not name.startswith("resonate-step")} == set()


def test_whoever_waits_is_told_when_it_is_closed():
    resonate = Resonate()
    resonate.register(asking)
    resonate.open()
    handle = resonate.begin_run("a", asking)
    said: list[str] = []

    def wait() -> None:
        try:
            handle.result()
        except UsageError as error:
            said.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    with pytest.raises(TimeoutError):
        handle.result(timeout=0.05)
    resonate.close()
    waiting.join(60)
    assert len(said) == 1
    assert "closed" in said[0]


def test_a_call_in_the_last_turn_of_the_loop_is_told_that_the_client_is_closed(monkeypatch):
    thread, said = _LoopThread(), []
    loop, close = thread._loop, thread._loop.close

    async def asked() -> None: ...

    def ask() -> None:
        with pytest.raises(UsageError, match="closed") as caught:
            thread.call(asked)
        said.append(caught.value)

    asking = threading.Thread(target=ask, daemon=True)

    def close_at_last() -> None:
        asking.start()
        while not loop._ready:
            time.sleep(0.001)
        close()

    monkeypatch.setattr(loop, "close", close_at_last)
    thread.stop()
    asking.join(10)
    assert len(said) == 1


def test_a_client_that_fails_to_open_leaves_nothing_behind():
    class Broken:
        clock = VirtualClock()

        def connect(self, *, group: str, pid: str) -> object:
            raise OSError("no such host")

    before = names()
    resonate = Resonate(Broken())
    with pytest.raises(OSError, match="no such host"):
        resonate.open()
    assert names() <= before  # those of earlier clients may end meanwhile
    resonate.close()


def test_the_end_of_the_interpreter_closes_what_is_open():
    script = textwrap.dedent("""
        import asyncio, time
        from resonate.sync import Resonate

        resonate = Resonate(grace=10)

        @resonate.register
        async def slow() -> str:
            await asyncio.sleep(0.2)
            return said()  # since 3.12 no thread can be started this late

        def said() -> str:
            print("recorded", flush=True)
            return "done"

        resonate.open()
        resonate.begin_run("a", slow)
        print("leaving", flush=True)
    """)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (0, ["leaving", "recorded"], "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_can_not_use_its_parents_client_and_leaves_it_alone_when_it_ends():
    script = textwrap.dedent("""
        import os
        import sys
        import warnings
        from resonate import UsageError
        from resonate.sync import Resonate

        def step(n: int) -> int:
            return n + 1

        async def add(ctx, n: int) -> int:
            return await ctx.run(step, n)

        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, which this is about
        with Resonate() as resonate:
            resonate.register(add)
            resonate.run("before", add, 1)
            child = os.fork()
            if not child:
                try:
                    resonate.run("in the child", add, 1)
                except UsageError as error:
                    print(str(error), flush=True)
                sys.exit(3)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
            assert resonate.run("after", add, 1) == 2
    """)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("This process was forked while its parent had the client open, and can't use it.")
    assert ran.stderr == ""
