"""The clock's contract."""

from __future__ import annotations

import asyncio

import pytest

from resonate.testing.conformance.subjects import Options, made
from resonate.testing.contracts import CLOCK_CHECKS, ClockCheck


@pytest.mark.parametrize("check", CLOCK_CHECKS, ids=lambda check: check.__name__)
def test_clock(check: ClockCheck, request: pytest.FixtureRequest) -> None:
    """Hold a clock to one promise of the port."""
    make = Options(request.config).named("--clock")
    asyncio.run(_run(check, make))


async def _run(check: ClockCheck, make: object) -> None:
    await check(made(make))
