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
    async with asyncio.timeout(60):
        requests = await count(operation, BACKENDS[backend](tmp_path))
    each = requests.total() / (MANY - FEW)
    # Whether there is a suspension is now and then a matter of when the sleep, or the first of many calls, is over.
    assert COUNTED[operation].on(backend) - 0.7 < each < COUNTED[operation].on(backend) + 0.3
