"""What users hold of the simulator: what it finds, how it tells, and what it refuses."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import time

import pytest

from resonate import Context, Exponential, Info, Never, PromiseTimedOut, Resonate, UsageError
from resonate.testing.simulation import (
    Chance,
    Fault,
    Faults,
    Kind,
    Plan,
    SimulationFailed,
    crash_everywhere,
    simulate,
)
from resonate.testing.simulation.__main__ import main

charges: list[str] = []


def charge(cents: int) -> str:
    charges.append(f"{cents}")
    return "receipt"


async def ship(receipt: str) -> str:
    return receipt + " shipped"


async def shop(ctx: Context, cents: int) -> str:
    return await ctx.run(ship, await ctx.run(charge, cents))


async def sleepy(ctx: Context, days: int) -> int:
    await ctx.sleep(days * 86_400)
    return days


async def broken(ctx: Context) -> None:
    await ctx.options(retry=Never()).run(fails)


async def fails() -> None:
    raise ValueError("no")


async def dated(ctx: Context) -> str:
    return str(await ctx.now())


def once(_run) -> None:
    assert len(charges) == 1, f"charged {len(charges)} times"


SETTINGS = {"before": charges.clear, "invariant": once}


def found(**settings) -> SimulationFailed:
    with pytest.raises(SimulationFailed) as failed:
        simulate(shop, 5, **{"seeds": 200, **SETTINGS, **settings})
    return failed.value


# ---------------------------------------------------------------- what is found


def test_a_step_that_is_done_twice_is_found_and_shrunk_to_the_one_fault_it_takes():
    failed = found()
    assert len(failed.faults.faults) == 1
    assert "the invariant does not hold: charged 2 times" in str(failed)


def test_the_replay_line_repeats_the_failure():
    failed = found()
    again = found(seed=failed.seed, faults=str(failed.faults))
    assert again.faults == failed.faults
    assert again.message == failed.message
    assert f'seed={failed.seed}, faults="{failed.faults}")' in str(failed)


def test_the_timeline_tells_what_was_done_and_what_went_wrong():
    text = str(found())
    assert text.count("does charge for root:1, attempt 1") == 2
    assert "*** " in text
    assert "request 1: " in text


def test_a_failure_is_an_assertion_and_an_error_of_this_library_and_survives_copying():
    failed = found()
    assert isinstance(failed, AssertionError)
    assert str(copy.copy(failed)) == str(failed)
    unpickled = pickle.loads(pickle.dumps(SimulationFailed("it went wrong", seed=3, replay="simulate(...)")))
    assert (unpickled.seed, unpickled.replay, str(unpickled)) == (
        3,
        "simulate(...)",
        "it went wrong\n\nRun it again by:\n  simulate(...)",
    )


def test_an_invariant_may_return_false():
    with pytest.raises(SimulationFailed, match="the invariant does not hold"):
        simulate(shop, 5, seeds=1, invariant=lambda run: False)


def test_a_workflow_whose_result_hangs_on_faults_is_found():
    attempts: list[int] = []

    async def counts() -> int:
        attempts.append(1)
        return len(attempts)

    async def counted(ctx: Context) -> int:
        return await ctx.run(counts)

    with pytest.raises(SimulationFailed, match="is given 2, and 1 without faults"):
        simulate(counted, before=attempts.clear, seeds=200)
    simulate(counted, before=attempts.clear, seeds=50, result=...)
    simulate(counted, before=attempts.clear, seeds=50, result=lambda value: value >= 1)


def test_a_workflow_that_replays_differently_is_found():
    drawn: list[int] = []

    async def differs(ctx: Context) -> str:
        drawn.append(1)
        return await ctx.run(ship, str(len(drawn))) + await ctx.run(ship, "")

    with pytest.raises(SimulationFailed) as failed:
        simulate(differs, before=drawn.clear, seeds=100, faults=Faults.kills(), result=...)
    assert "no longer asks for what its history records" in str(failed.value)


def test_a_workflow_that_goes_wrong_without_faults_says_so():
    with pytest.raises(SimulationFailed, match="with seed 0 and 0 faults") as failed:
        simulate(shop, 5, result="something else")
    assert "none: it goes wrong by itself" in str(failed.value)


def test_a_workflow_that_never_ends_is_found():
    async def waits(ctx: Context) -> None:
        await (await ctx.promise(timeout=3600))

    with pytest.raises(SimulationFailed, match="PromiseTimedOut"):
        simulate(waits, seeds=1, result=lambda value: True)


# ---------------------------------------------------------------- what is right


def test_a_workflow_that_fails_without_any_fault_is_wrong_unless_it_is_to_fail():
    with pytest.raises(SimulationFailed, match=r"without any fault, the caller is given \w+"):
        simulate(broken, seeds=30)
    assert simulate(broken, seeds=30, result=...).runs == 30


def test_a_call_that_does_not_fit_is_no_run_that_went_well():
    with pytest.raises((SimulationFailed, UsageError), match="argument"):
        simulate(sleepy, seeds=3)


def test_a_year_takes_no_time():
    began = time.process_time()
    report = simulate(sleepy, 365, seeds=20, options={"timeout": 400 * 86_400})
    assert report.result == 365
    assert report.virtual_ms > 20 * 364 * 86_400_000
    assert time.process_time() - began < 10


def test_the_report_counts():
    charges.clear()
    report = simulate(shop, 5, seeds=30)
    assert report.runs == 30
    assert 30 <= report.runs_of(charge) == len(charges) - 1  # one run went before, without faults
    assert sum(report.faults.values()) > 30
    assert report.requests > 0 < report.actions
    assert str(report).startswith("shop: 30 runs, all well.")


def test_faults_can_be_left_out():
    report = simulate(shop, 5, seeds=20, faults=Faults.none())
    assert not report.faults
    assert report.runs_of(charge) == 20


def test_only_what_is_asked_for_goes_wrong():
    report = simulate(shop, 5, seeds=40, faults=Faults.kills(0.2))
    assert set(report.faults) == {"kill"}


def test_a_fault_has_a_schedule():
    faults: list[Fault] = []
    simulate(
        shop,
        5,
        seeds=20,
        faults=Faults(lose=Chance(share=1, first=3, last=9, most=2), swarm=False),
        invariant=lambda run: faults.extend(run.faults.faults),
    )
    assert {fault.at for fault in faults} == {3, 4}
    assert len(faults) == 40


def test_steps_are_replaced_by_stubs_and_counted_all_the_same():
    charges.clear()
    seen: list[int] = []
    report = simulate(shop, 5, seeds=10, stubs={charge: lambda cents: seen.append(cents) or "stub", ship: "gone"})
    assert charges == []
    assert report.result == "gone"
    assert report.runs_of(charge) == len(seen) - 1


def test_a_stub_may_be_a_coroutine_function_and_take_info():
    async def keyed(info: Info, n: int) -> str:
        return info.id

    async def asks(ctx: Context) -> str:
        return await ctx.run(keyed, 1)

    async def fake(info: Info, n: int) -> str:
        await asyncio.sleep(100)
        return f"fake {info.id} {n}"

    assert simulate(asks, seeds=3, stubs={keyed: fake}).result == "fake root:1 1"


def test_retries_are_attempts_that_run():
    async def flaky(info: Info) -> int:
        if info.attempt < 4:
            raise OSError("not yet")
        return info.attempt

    async def retries(ctx: Context) -> int:
        return await ctx.options(retry=Exponential(delay=60, max_retries=9)).run(flaky)

    report = simulate(retries, seeds=20, faults=Faults.none())
    assert report.result == 4
    assert report.runs_of(flaky) == 80


def test_dependencies_are_there():
    async def uses(info: Info) -> str:
        return info.get_dependency("db")

    async def reads(ctx: Context) -> str:
        return await ctx.run(uses)

    assert simulate(reads, seeds=5, dependencies={"db": "a database"}).result == "a database"


async def test_it_can_be_called_where_an_event_loop_runs():
    assert simulate(shop, 5, seeds=3).result == "receipt shipped"
    await asyncio.sleep(0)


def test_loggers_are_as_before():
    before = logging.getLogger("resonate").level
    simulate(shop, 5, seeds=2)
    found()
    assert logging.getLogger("resonate").level == before
    assert logging.getLogger("resonate").propagate


def test_crash_everywhere_kills_at_each_request():
    report = crash_everywhere(shop, 5)
    assert report.faults["kill"] == report.runs
    assert report.runs == 3 * simulate(shop, 5, seed=0, faults=Faults.none()).requests
    with pytest.raises(SimulationFailed, match="charged 2 times"):
        crash_everywhere(shop, 5, **SETTINGS)


# ---------------------------------------------------------------- what is refused


def test_what_leaves_the_process_is_refused_and_says_what_to_do():
    async def connects() -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    async def calls(ctx: Context) -> None:
        await ctx.options(retry=Never()).run(connects)

    with pytest.raises(SimulationFailed) as failed:
        simulate(calls, seeds=1, result=None)
    assert "stubs={step: fake}" in str(failed.value)


def test_threads_are_calls():
    async def threaded() -> str:
        return await asyncio.to_thread(lambda: "done")

    async def calls(ctx: Context) -> str:
        return await ctx.run(threaded)

    assert simulate(calls, seeds=5).result == "done"


@pytest.mark.parametrize("faults", [7, "kill", "kill x", "murder 3", "kill 3 after"])
def test_faults_that_are_none_are_refused(faults):
    with pytest.raises(UsageError):
        simulate(shop, 5, faults=faults)


def test_a_share_is_a_share():
    with pytest.raises(UsageError, match="a number from 0 to 1"):
        Faults(kill=2)


def test_faults_are_written_as_they_are_read():
    plan = Plan((Fault(Kind.KILL, 3, -1), Fault(Kind.KILL, 3, 0), Fault(Kind.LOSE_REPLY, 12), Fault(Kind.SKEW, 1, -40)))
    assert str(plan) == "kill 3 before, kill 3, lose-reply 12, skew 1-40"
    assert Plan.parse(str(plan)) == plan
    assert Plan.parse("") == Plan()
    assert all(fault.told for fault in plan.faults)


# ---------------------------------------------------------------- the command


def test_the_command_simulates(capsys, monkeypatch):
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    assert main(["test_simulation:shop", "5", "--seeds", "5"]) == 0
    assert "shop: 5 runs, all well" in capsys.readouterr().out
    assert main(["test_simulation:shop", "5", "--seeds", "200", "--with", "test_simulation:SETTINGS"]) == 1
    assert "Run it again by:" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["shop", "test_simulation:nothing"])
def test_the_command_refuses_what_is_not_there(name, monkeypatch):
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    with pytest.raises(UsageError):
        main([name])


def test_a_program_outside_that_fails_is_found():
    async def outside(client) -> None:
        await asyncio.sleep(1)
        raise KeyError("gone")

    with pytest.raises(SimulationFailed, match=r"the program in outside\.1 fails with KeyError: 'gone'"):
        simulate(shop, 5, seeds=3, outside=outside)


def test_workers_have_what_a_client_has():
    app = Resonate()

    @app.register(name="double", version=3)
    async def twice(info: Info, n: int) -> int:
        return n * info.get_dependency("two")

    @app.register(name="outer")
    async def outer(ctx: Context, n: int) -> int:
        return await ctx.rpc("double", n)

    app.set_dependency("two", 2)
    assert simulate(outer, 4, app=app, seeds=10).result == 8
    assert simulate(outer, 4, app=app, seeds=3, dependencies={"two": 3}).result == 12


# ---------------------------------------------------------------- what is right, and looks wrong


async def waits_long() -> str:
    await asyncio.sleep(30)
    return "x"


async def far_away(ctx: Context) -> str:
    await ctx.sleep(30)
    return "far"


async def at_once() -> str:
    return "1"


async def a_step_passes_its_deadline(ctx: Context) -> str:
    try:
        return await ctx.options(timeout=5).run(waits_long)
    except PromiseTimedOut:
        return "late"


async def a_remote_call_is_given_up(ctx: Context) -> str:
    try:
        async with asyncio.timeout(5):
            return await ctx.rpc(far_away)
    except TimeoutError:
        return "late"


async def a_loser_is_canceled_while_its_result_is_recorded(ctx: Context) -> str:
    async def flag() -> str:
        await ctx.now()
        return "1"

    return await ctx.race(ctx.run(at_once), flag(), ctx.run(at_once))


async def a_workflow_with_a_deadline_waits_for_a_lock(ctx: Context) -> str:
    lock = asyncio.Lock()

    async def holds() -> None:
        async with lock:
            await ctx.sleep(2)

    async def waits(ctx: Context) -> str:
        async with lock:
            return "got"

    task = asyncio.create_task(holds())
    await asyncio.sleep(0)
    got = await ctx.options(timeout=3600).run(waits)
    await task
    return got


@pytest.mark.parametrize(
    "fn",
    [
        a_step_passes_its_deadline,
        a_remote_call_is_given_up,
        a_loser_is_canceled_while_its_result_is_recorded,
        a_workflow_with_a_deadline_waits_for_a_lock,
    ],
)
def test_a_workflow_that_does_nothing_wrong_is_not_blamed(fn):
    assert simulate(fn, register=(far_away,), seeds=20, faults="", shrinks=False).runs == 20
