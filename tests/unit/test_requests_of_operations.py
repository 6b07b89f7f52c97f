"""The documentation's table of requests, counted anew: each operation on each backend."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.request_counts import BACKENDS, COUNTED, FEW, MANY, OPERATIONS, count


def test_the_table_is_of_all_operations():
    assert list(COUNTED) == list(OPERATIONS)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_operation_takes_so_many_requests(operation, backend, tmp_path):
    async with asyncio.timeout(30):
        requests = await count(operation, BACKENDS[backend](tmp_path))
    # Of many at once, one suspension more or less is a matter of when the first is over.
    assert requests.total() / (MANY - FEW) == pytest.approx(COUNTED[operation].on(backend), abs=0.3)
