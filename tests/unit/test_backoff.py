from __future__ import annotations

import pytest

from resonate.core.backoff import FIRST_MS, LONGEST_MS, LONGEST_WISH_MS, full_jitter_ms


@pytest.mark.parametrize(("failures", "bound"), [(1, 100), (2, 200), (5, 1600), (8, 10_000), (10**6, 10_000)])
def test_a_delay_is_drawn_evenly_below_a_bound_that_doubles(failures, bound):
    assert [full_jitter_ms(failures, drawn) for drawn in (0.0, 0.5, 1.0)] == [1, bound // 2, bound]


def test_who_was_asked_to_wait_longer_does():
    assert full_jitter_ms(1, 1.0, 5_000) == 5_000 + FIRST_MS
    assert full_jitter_ms(50, 1.0, None) == LONGEST_MS


def test_who_was_asked_to_wait_for_days_comes_back_within_minutes():
    assert full_jitter_ms(1, 1.0, 86_400_000) == LONGEST_WISH_MS + FIRST_MS
