"""What each port promises, as checks that any adapter can be held to: free of any test framework.

Run all of a port's at once (`await check_store(make_backend)`), or parametrise over the registry to have one test each:

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    async def test_store(check):
        await run_store_check(check, make_backend)

A check that fails raises `AssertionError` with a sentence that says what was promised.
"""

from resonate.testing.contracts.clock import CLOCK_CHECKS, ClockCheck, MakeClock, check_clock
from resonate.testing.contracts.codec import CODEC_CHECKS, CodecCheck, Samples, check_codec
from resonate.testing.contracts.store.stage import MakeBackend, Stage, StoreCheck
from resonate.testing.contracts.suite import STORE_CHECKS, check_store, run_store_check

__all__ = [
    "CLOCK_CHECKS",
    "CODEC_CHECKS",
    "STORE_CHECKS",
    "ClockCheck",
    "CodecCheck",
    "MakeBackend",
    "MakeClock",
    "Samples",
    "Stage",
    "StoreCheck",
    "check_clock",
    "check_codec",
    "check_store",
    "run_store_check",
]
