"""The guide's tests pass."""

from __future__ import annotations

from tests.docs.pages import ROOT, blocks

BEFORE = """
import asyncio


async def checkout(ctx: Context, order: str, cents: int) -> str:
    return await ctx.run(charge, cents)
"""


def test_the_tests_of_the_guide_pass(run):
    page = [one.text for one in blocks(ROOT / "docs" / "guide" / "pytest.md") if "tests/unit/plugin" in one.info]
    source = page[0] + BEFORE + page[1].replace("seeds=500", "seeds=50").replace(">= 500", ">= 50")
    run(ini="asyncio_mode = auto\n", test_shop=source).counts(passed=3)
