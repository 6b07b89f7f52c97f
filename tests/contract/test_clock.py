import pytest

from resonate.adapters.clock import SystemClock
from resonate.testing import VirtualClock
from resonate.testing.contracts import CLOCK_CHECKS, ClockCheck, MakeClock


@pytest.mark.parametrize("check", CLOCK_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", [SystemClock, VirtualClock])
async def test_clock(check: ClockCheck, make: MakeClock) -> None:
    await check(make())
