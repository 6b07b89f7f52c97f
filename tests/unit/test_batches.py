"""Batches are the whole, in order, each as long as it may be."""

from __future__ import annotations

import pytest

from resonate.core.batches import batches


@pytest.mark.parametrize(
    ("count", "lengths"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3])], ids=["none", "1", "3", "4", "6"]
)
def test_they_are_the_whole_in_order(count, lengths):
    found = list(batches(range(count), 3))
    assert [len(batch) for batch in found] == lengths
    assert [item for batch in found for item in batch] == list(range(count))
