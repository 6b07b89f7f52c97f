"""Errors, and retry policies, whose own code fails: what they are of ends all the same, and says so."""

from __future__ import annotations

import asyncio
import logging

import pytest

from resonate import Constant, Context, Resonate
from resonate.errors import ApplicationError, EngineBug, UsageError
from resonate.testing.clock import VirtualClock
from resonate.testing.harness import Harness

SOON = 1_000_000


class Mute(Exception):
    def __str__(self) -> str:
        return 404  # type: ignore[return-value]  # noqa: PLE0307 - a mistake that is easily made


async def fails() -> None:
    raise Mute


def fails_in_a_thread() -> None:
    raise Mute


@pytest.mark.parametrize("step", [fails, fails_in_a_thread])
async def test_a_step_whose_error_has_no_text_is_tried_again_and_fails(step: object) -> None:
    async def flow(ctx: Context) -> None:
        await ctx.options(retry=Constant(delay=1, max_retries=2)).run(step)  # type: ignore[call-overload]

    async with Harness() as harness:
        client = harness.client()
        client.register(flow)
        await harness.open(client)
        with pytest.raises(ApplicationError, match="its text can't be had: TypeError"):
            await asyncio.wait_for(client.run("o", flow), SOON)


async def test_a_failure_that_has_no_text_and_that_nobody_asked_for_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def side() -> None:
        raise Mute

    async def flow(ctx: Context) -> str:
        task = asyncio.create_task(side())
        await ctx.sleep(1)
        del task
        return "done"

    async with Harness() as harness:
        client = harness.client()
        client.register(flow)
        await harness.open(client)
        with caplog.at_level(logging.WARNING):
            assert await asyncio.wait_for(client.run("o", flow), SOON) == "done"
    assert "Mute: (its text can't be had: TypeError)" in caplog.text


class Forgetful:
    def next_delay(self, failures: int, error: BaseException, draw: float = 0.0) -> int | None:
        raise KeyError(type(error).__name__)


class Wordy:
    def next_delay(self, failures: int, error: BaseException, draw: float = 0.0) -> int | None:
        return "a second"  # type: ignore[return-value]


@pytest.mark.parametrize(("policy", "said"), [(Forgetful(), "KeyError: 'OSError'"), (Wordy(), "TypeError: ")])
async def test_a_retry_policy_that_fails_fails_the_step(policy: Forgetful | Wordy, said: str) -> None:
    async def broken() -> None:
        msg = "no route"
        raise OSError(msg)

    async def flow(ctx: Context) -> None:
        await ctx.options(retry=policy).run(broken)

    async with Harness() as harness:
        client = harness.client()
        client.register(flow)
        await harness.open(client)
        with pytest.raises(
            UsageError, match=f"{type(policy).__name__} failed with {said}.*OSError: no route"
        ) as caught:
            await asyncio.wait_for(client.run("o", flow), SOON)
    assert caught.value.step == "o:1"


class Stopped(VirtualClock):
    """A clock that can't wait once it was stopped."""

    stopped = False

    async def sleep_until(self, instant: int) -> None:
        if self.stopped:
            msg = "this clock was stopped"
            raise RuntimeError(msg)
        await super().sleep_until(instant)


async def test_a_step_that_can_not_be_driven_is_no_step_that_is_waited_for() -> None:
    clock = Stopped()

    async def fails_and_stops_the_clock() -> None:
        clock.stopped = True
        raise OSError

    client = Resonate(clock=clock)
    client.register(fails_and_stops_the_clock)

    async def flow(ctx: Context) -> None:
        await ctx.run(fails_and_stops_the_clock)

    client.register(flow)
    async with client:
        handle = await client.begin_run("o", flow)
        with pytest.raises(EngineBug, match="this clock was stopped"):
            await handle.result()
        clock.stopped = False
