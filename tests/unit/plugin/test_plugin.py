"""The pytest plugin, as a user's test suite sees it."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from resonate import Context, Resonate, UsageError
from resonate.core import ids
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag
from resonate.core.protocol.snapshot import PromiseSnapshot, Snapshot
from resonate.testing import Harness
from resonate.testing.fixtures import Case, Checks
from resonate.testing.inside import settings_of, take_over
from resonate.testing.leaks import left_over, unfinished
from tests.unit.plugin.conftest import SOURCE

pytestmark = pytest.mark.slow


AUTO = "asyncio_mode = auto\n"

HEAD = """
import asyncio, threading, time
from datetime import timedelta
import pytest
from resonate import Context, Info, Resonate

YEAR = timedelta(days=365)

def step(n: int) -> int:
    return n + 1

async def flow(ctx: Context, n: int) -> int:
    n = await ctx.run(step, n)
    await ctx.sleep(timedelta(days=20))
    return await ctx.run(step, n)

async def waits(ctx: Context) -> int:
    return await (await ctx.promise(returns=int))

turn = 0
async def fickle(ctx: Context) -> int:
    global turn
    turn += 1
    return await ctx.run(step, turn)
"""


def test_loading_it_loads_nothing_of_the_library():
    code = (
        "import sys, resonate.testing.plugin\n"
        "libraries = {'attrs', 'cattrs', 'orjson', 'httpx', 'opentelemetry'}\n"
        "heavy = sorted(libraries & {n.split('.')[0] for n in sys.modules})\n"
        "ours = sorted(n for n in sys.modules if n.startswith('resonate'))\n"
        "print(heavy, ours)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": SOURCE}, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[] ['resonate', 'resonate.testing', 'resonate.testing.plugin']"


# ---------------------------------------------------------------- who runs the test

ASYNC = """
async def test_flow(resonate):
    resonate.register(flow)
    assert await resonate.run("x", flow, 1) == 3
"""


def test_with_pytest_asyncio_in_auto_mode(run):
    run(ini=AUTO, test_it=HEAD + ASYNC).counts(passed=1)


def test_with_pytest_asyncio_in_strict_mode_and_one_loop_for_a_whole_module(run):
    strict = HEAD + "\n@pytest.mark.asyncio" + ASYNC
    head = HEAD + 'pytestmark = pytest.mark.asyncio(loop_scope="module")\n'
    shared = head + ASYNC + ASYNC.replace("flow(r", "again(r")
    run(ini="asyncio_mode = strict\n", test_it=strict, test_shared=shared).counts(passed=3)


def test_with_anyio(run):
    source = HEAD + "\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n\n@pytest.mark.anyio" + ASYNC
    run(test_it=source, ini="").counts(passed=1)


def test_in_a_plain_test_with_the_blocking_client(run):
    source = """
    def test_flow(resonate):
        resonate.register(flow)
        assert resonate.run("x", flow, 1) == 3
    """
    run(test_it=HEAD + dedent(source)).counts(passed=1)


def test_in_classes_with_parameters_and_beside_other_fixtures(run):
    source = """
    @pytest.fixture
    def registered(resonate):
        resonate.register(flow)
        return resonate

    class TestFlow:
        @pytest.mark.parametrize("n", [1, 2])
        async def test_flow(self, registered, n, tmp_path):
            assert await registered.run("x", flow, n) == n + 2
            assert tmp_path.exists()
    """
    run(ini=AUTO, test_it=HEAD + dedent(source)).counts(passed=2)


def test_a_fixture_of_the_same_name_in_a_suite_goes_first(run):
    source = """
    @pytest.fixture
    def resonate():
        return "mine"

    @pytest.fixture
    def worker():
        return "mine, too"

    def test_mine(resonate, worker):
        assert (resonate, worker) == ("mine", "mine, too")
    """
    run(test_it=HEAD + dedent(source)).counts(passed=1)


def test_each_test_has_a_system_of_its_own(run):
    twice = HEAD + ASYNC + ASYNC.replace("test_flow", "test_again").replace("flow, 1) == 3", "flow, 5) == 7")
    run(ini=AUTO, test_it=twice).counts(passed=2)


# ---------------------------------------------------------------- time, workers, options


def test_a_year_takes_no_time(run):
    source = """
    async def yearly(ctx: Context) -> int:
        await ctx.sleep(YEAR)
        return await ctx.run(step, 1)

    @pytest.mark.resonate(timeout=2 * YEAR)
    async def test_a_year(resonate, resonate_harness):
        resonate.register(yearly)
        began, real = resonate_harness.clock.now(), time.perf_counter()
        assert await resonate.run("x", yearly) == 2
        assert resonate_harness.clock.now() - began == YEAR.total_seconds() * 1000
        assert time.perf_counter() - real < 60
    """
    run(ini=AUTO, test_it=HEAD + dedent(source)).counts(passed=1)


def test_a_worker_is_lost_and_another_goes_on(run):
    source = """
    async def test_crash(resonate, worker, resonate_harness):
        resonate.register(flow)
        await resonate.begin_run("x", flow, 1)
        await resonate_harness.clock.advance(timedelta(days=1))
        await worker.crash(resonate)
        other = await worker()
        assert await other.get("x").result() == 3

    async def test_another_group(resonate, worker):
        async def calls(ctx: Context) -> int:
            return await ctx.options(target="far").rpc(flow, 1)

        for function in (calls, flow):
            resonate.register(function)
        await worker(group="far")
        assert await resonate.run("x", calls) == 3

    def test_blocking(resonate, worker):
        resonate.register(flow)
        other = worker()
        assert other.run("x", flow, 1) == 3
        assert resonate.get("x").result() == 3
    """
    run(ini=AUTO, test_it=HEAD + dedent(source)).counts(passed=3)


APP = """
from shop_app import flow, app

async def test_registered(resonate):
    assert await resonate.run("x", "flow", 1) == 3
    assert resonate is not app

async def test_replaced(resonate):
    resonate.set_dependency("desk", "south")
    assert await resonate.run("x", "desk") == "south"
    assert await resonate.run("y", "desk") == "south"

async def test_as_it_was(resonate):
    assert await resonate.run("x", "desk") == "north"
"""
SHOP = (
    HEAD
    + """
app = Resonate(timeout=YEAR)
app.register(flow)
app.set_dependency("desk", "north")

@app.register
async def desk(ctx: Context) -> str:
    return ctx.get_dependency("desk")
"""
)


def test_the_functions_of_an_application_are_taken_over(run):
    run("--resonate-app", "shop_app:app", ini=AUTO, shop_app=SHOP, test_it=APP).counts(passed=3)
    override = "import pytest, shop_app\n@pytest.fixture\ndef resonate_app():\n    return shop_app.app\n"
    run(ini=AUTO, shop_app=SHOP, test_it=APP, conftest=override).counts(passed=3)


def test_an_application_that_is_not_there(run):
    ended = run("--resonate-app", "nowhere:app", ini=AUTO, test_it=HEAD + ASYNC)
    assert "--resonate-app nowhere:app: No module named 'nowhere'" in ended.text
    ended = run("--resonate-app", "test_it:step", ini=AUTO, test_it=HEAD + ASYNC)
    assert "resonate_app is a client (Resonate), not function" in ended.text


def test_what_a_test_adds_stays_in_the_test():
    app, client = Resonate(), Resonate()
    app.set_dependency("desk", "north")
    take_over(client, settings_of(app))
    client.set_dependency("desk", "south")
    client.register(name="mine")(left_over)
    assert settings_of(app).dependencies.get("desk") == "north"
    assert settings_of(app).registry.names() == ()


def test_time_passes_only_while_a_plain_test_waits(run):
    source = """
    def test_held(resonate, resonate_harness):
        for function in (waits, flow):
            resonate.register(function)
        began = resonate_harness.clock.now()
        handle = resonate.begin_run("x", waits)
        time.sleep(0.2)
        assert resonate_harness.clock.now() == began
        resonate.promises.resolve("x:1", 5)
        assert handle.result() == 5
        assert resonate.run("y", flow, 1) == 3
        assert resonate_harness.clock.now() - began == 20 * 86_400_000
    """
    run(test_it=HEAD + dedent(source)).counts(passed=1)


# ---------------------------------------------------------------- determinism

FICKLE = """
async def test_fickle(resonate):
    resonate.register(fickle)
    await resonate.run("x", fickle)
"""


def test_code_that_does_other_things_in_a_replay_fails_the_test(run):
    ended = run(ini=AUTO, test_it=HEAD + FICKLE)
    ended.counts(failed=1)
    assert "a replay does not do the same: x (fickle@1) differs at step 1, x:1" in ended.text
    assert "args[0]: 1 was recorded, now it is 2" in ended.text
    assert "return await ctx.run(step, turn)" in ended.text


def test_the_replay_can_be_turned_off(run):
    marked = '\n@pytest.mark.resonate(replay="end")' + FICKLE.replace("test_fickle", "test_marked")
    run("--resonate-replay", "off", ini=AUTO, test_it=HEAD + FICKLE + marked).counts(passed=1, failed=1)
    marked = '\n@pytest.mark.resonate(replay="off")' + FICKLE.replace("test_fickle", "test_marked")
    run(ini=AUTO, test_it=HEAD + FICKLE + marked).counts(passed=1, failed=1)
    ended = run(ini=AUTO + "resonate_replay = sometimes\n", test_it=HEAD + FICKLE)
    assert "resonate_replay is end, always or off, not 'sometimes'" in ended.text


def test_every_resume_can_be_a_replay(run):
    source = """
    seen = []

    async def nap(ctx: Context) -> None:
        seen.append(1)
        await ctx.sleep(1)

    async def test_nap(resonate):
        resonate.register(nap)
        await resonate.run("x", nap)
        assert len(seen) == ONCE
    """
    in_place = HEAD + dedent(source).replace("ONCE", "1")
    run(ini=AUTO, test_it=in_place).counts(passed=1)
    run("--resonate-replay", "always", ini=AUTO, test_it=in_place.replace("== 1", "== 2")).counts(passed=1)


# ---------------------------------------------------------------- leaks

WAITS = """
async def test_waits(resonate):
    resonate.register(waits)
    await resonate.begin_run("x", waits)
"""


def test_an_execution_that_is_not_over_fails_the_test_by_its_name(run):
    ended = run(ini=AUTO, test_it=HEAD + WAITS)
    ended.counts(failed=1)
    assert "the execution x (waits@1) is not over: it is suspended, waiting for x:1" in ended.text


def test_in_a_plain_test_too(run):
    plain = WAITS.replace("async ", "").replace("await ", "")
    run(test_it=HEAD + plain).counts(failed=1)


def test_what_is_left_can_be_allowed(run):
    marked = "\n@pytest.mark.resonate(unfinished=True)" + WAITS
    marked += "\n@pytest.mark.resonate(leaks=False)" + WAITS.replace("test_waits", "test_again")
    run(ini=AUTO, test_it=HEAD + marked).counts(passed=2)
    run("--resonate-no-leaks", ini=AUTO, test_it=HEAD + WAITS).counts(passed=1)
    run(ini=AUTO + "resonate_leaks = false\n", test_it=HEAD + WAITS).counts(passed=1)


LEAVES = """
import sys
from concurrent.futures import ThreadPoolExecutor
from logging.handlers import QueueListener
from queue import SimpleQueue
sys.path.insert(0, "site-packages")
import metrics

async def ticks() -> None:
    while True:
        await asyncio.sleep(0.01)

OVER = threading.Event()

@pytest.fixture(scope="module", autouse=True)
def over():
    yield
    OVER.set()

def naps() -> None:
    OVER.wait()

async def a_task_of_python() -> None:
    asyncio.create_task(asyncio.sleep(30), name="left-over")

async def a_task() -> None:
    asyncio.create_task(ticks(), name="left-over")

def a_thread() -> None:
    threading.Thread(target=naps, name="left-over", daemon=True).start()

async def a_thread_of_python() -> None:
    threading.Thread(target=time.sleep, args=(60,), name="left-over", daemon=True).start()

def a_timer() -> None:
    timer = threading.Timer(60, naps)
    timer.name, timer.daemon = "left-over", True
    timer.start()

POOL = ThreadPoolExecutor(1, "left-over")
LISTENER = QueueListener(SimpleQueue())

def a_pool_at_work() -> None:
    ThreadPoolExecutor(1, "left-over").submit(naps)

async def idle_pools() -> None:
    await asyncio.to_thread(abs, -1)
    await asyncio.wrap_future(POOL.submit(abs, -1))

async def a_thread_that_ends() -> None:
    threading.Thread(target=OVER.wait, args=(0.01,)).start()

def a_listener_of_python() -> None:
    LISTENER.start()

async def a_librarys() -> None:
    metrics.start()

@pytest.fixture(params=STEPS)
def leaving(request):
    async def leaves(ctx: Context) -> None:
        await ctx.run(request.param)
    return leaves

async def test_it(resonate, leaving):
    resonate.register(leaving)
    await resonate.run("x", leaving)

def test_it_plainly(resonate, leaving):
    resonate.register(leaving)
    resonate.run("x", leaving)
"""
METRICS = """
import asyncio, threading, time

async def flush():
    await asyncio.sleep(30)

def start():
    asyncio.create_task(flush())
    threading.Thread(target=lambda: time.sleep(60), daemon=True).start()
"""


def test_what_a_step_leaves_running_fails_the_test_by_its_name(run):
    steps = "[a_task, a_task_of_python, a_thread, a_thread_of_python, a_timer, a_pool_at_work]"
    ended = run(
        ini=AUTO,
        test_it=HEAD + LEAVES.replace("STEPS", steps).replace("import metrics", ""),
    )
    ended.counts(failed=12)
    told = ended.text.partition("short test summary")[0]  # which repeats it, in full where CI is set
    assert told.count("the task left-over of ticks") == 2
    assert told.count("the task left-over of sleep") == 2
    assert told.count("the thread left-over still runs, naps") == 2
    assert told.count("the thread left-over_0 still runs, naps") == 2
    assert told.count("the thread left-over still runs\n") == 4


def test_what_others_keep_running_is_no_leak(run, tmp_path):
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "metrics.py").write_text(METRICS)
    steps = "[idle_pools, a_thread_that_ends, a_librarys]"
    run(ini=AUTO, test_it=HEAD + LEAVES.replace("STEPS", steps)).counts(passed=6)
    once = HEAD + LEAVES.replace("STEPS", "[a_listener_of_python]").replace("def test_it_plainly", "def it")
    run(ini=AUTO, test_it=once).counts(passed=1)


FORGETS = """
def charge(cents: int) -> None:
    raise TypeError("no card")

async def forgets(ctx: Context) -> None:
    ctx.run(charge, 5)

MARK
async def test_forgets(resonate):
    resonate.register(forgets)
    await resonate.run("x", forgets)
"""


def test_a_failure_that_no_workflow_asks_for_fails_the_test(run):
    source = HEAD + FORGETS.replace("MARK", "")
    ended = run(ini=AUTO, test_it=source)
    ended.counts(failed=1)
    line = source[: source.index("ctx.run(charge")].count("\n") + 1
    assert f"charge@1 (x:1, at test_it.py:{line}) failed with TypeError: no card" in ended.text
    assert "Or allow it: @pytest.mark.resonate(unheard=True)." in ended.text
    plain = FORGETS.replace("async def test", "def test").replace("    await res", "    res").replace("MARK", "")
    run(test_it=HEAD + plain).counts(failed=1)


def test_a_failure_that_no_workflow_asks_for_can_be_allowed(run):
    for mark in ("unheard=True", "leaks=False"):
        run(ini=AUTO, test_it=HEAD + FORGETS.replace("MARK", f"@pytest.mark.resonate({mark})")).counts(passed=1)


def test_another_worker_tells_of_it_too_whatever_its_options(run):
    source = (
        FORGETS.replace("MARK", "").partition("async def test")[0]
        + """
class Nothing:
    def record(self, event):
        pass

async def test_elsewhere(resonate, worker):
    async def calls(ctx: Context) -> None:
        await ctx.options(target="far").rpc(forgets)

    for function in (calls, forgets):
        resonate.register(function)
    await worker(group="far", tracers=[Nothing()])
    await resonate.run("x", calls)
"""
    )
    ended = run(ini=AUTO, test_it=HEAD + source)
    ended.counts(failed=1)
    assert "failed with TypeError: no card" in ended.text


def test_a_mark_on_the_test_goes_before_one_on_its_module(run):
    both = HEAD + "pytestmark = pytest.mark.resonate(leaks=False)\n@pytest.mark.resonate(leaks=True)" + WAITS
    run(ini=AUTO, test_it=both).counts(failed=1)


def test_a_task_that_a_step_leaves_running(run):
    source = """
    async def background():
        await asyncio.Event().wait()

    async def starts() -> None:
        kept.append(asyncio.create_task(background()))

    kept = []

    async def test_starts(resonate):
        resonate.register(starts)
        await resonate.run("x", starts)
    """
    ended = run(ini=AUTO, test_it=HEAD + dedent(source))
    ended.counts(failed=1)
    assert "of background (test_it.py:" in ended.text


def test_a_thread_that_a_step_does_not_leave(run):
    source = """
    begun, go = threading.Event(), threading.Event()

    def hangs() -> None:
        begun.set()
        go.wait(60)

    @pytest.mark.resonate(unfinished=True, grace=0)
    async def test_hangs(resonate):
        resonate.register(hangs)
        await resonate.begin_run("x", hangs)
        await asyncio.to_thread(begun.wait)
    """
    ended = run(ini=AUTO, test_it=HEAD + dedent(source) + "\ndef test_after():\n    go.set()\n")
    ended.counts(failed=1, passed=1)
    assert "still runs a step, hangs (test_it.py:" in ended.text


def test_a_test_that_fails_by_itself_says_so_and_nothing_else(run):
    ended = run(ini=AUTO, test_it=HEAD + WAITS + "    assert 1 == 2\n")
    ended.counts(failed=1)
    assert "assert 1 == 2" in ended.text
    assert "is not over" not in ended.text


async def test_what_an_execution_that_is_over_left_pending_is_told_by_name():
    async def flow(ctx: Context) -> None: ...

    async with Harness() as harness:
        client = await harness.open(harness.client())
        client.register(flow)
        await client.run("x", flow)
        snapshot = harness.snapshot()
    assert (left_over(snapshot), unfinished(snapshot)) == ([], [])
    timer = PromiseRecord(
        id=ids.child("x", 1),
        state=PromiseState.PENDING,
        tags={Tag.PARENT: "x", Tag.TIMER: "true"},
        timeout_at=snapshot.now + 1,
        created_at=snapshot.now,
    )
    wrong = Snapshot(now=snapshot.now, promises=(*snapshot.promises, PromiseSnapshot(record=timer)))
    assert left_over(wrong) == ["the timer x:1 is pending, and x (flow@1), which asked for it, is over"]


# ---------------------------------------------------------------- what can't work


def test_another_event_loop_is_refused_with_a_sentence():
    async def test() -> None: ...

    case = Case(harness=Harness(), checks=Checks(), options={})
    case.make()
    with pytest.raises(UsageError, match="Resonate runs on asyncio, and this test does not"):
        case.around(test)().send(None)  # as a loop that is not asyncio's would


def test_the_marker_and_the_fixtures_are_listed(run):
    assert "@pytest.mark.resonate(leaks=True" in run("--markers").text
    listed = run("--fixtures").text
    for name in ("resonate", "worker", "resonate_harness", "resonate_app"):
        assert f"\n{name} -- " in listed
