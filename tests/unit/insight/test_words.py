from __future__ import annotations

import subprocess

import pytest

from resonate.core.insight.words import command, count, instant, span


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (-5, "0 ms"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (9_999, "10.0 s"),
        (41_000, "41 s"),
        (60_000, "1 min"),
        (61_500, "1 min 1 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h"),
        (11_520_000, "3 h 12 min"),
        (86_400_000 * 30 + 3_600_000 * 4, "30 d 4 h"),
        (10**18, "11574074074 d 1 h"),
    ],
)
def test_a_span_is_told_by_its_two_largest_units(length, text):
    assert span(length) == text


def test_an_instant_is_told_in_utc_and_any_number_has_a_text():
    assert instant(1_735_689_600_999) == "2025-01-01 00:00:00 UTC"
    assert instant(-1) == "1969-12-31 23:59:59 UTC"
    assert instant(10**18) == f"instant {10**18}"
    assert instant(-(10**25)) == f"instant {-(10**25)}"


def test_a_count_has_its_plural():
    assert [count(n, "time") for n in (0, 1, 2)] == ["0 times", "1 time", "2 times"]


@pytest.mark.parametrize("id", ["order-1", "a b", "it's", "-rf", "$(date)", "*", "ä", "a:1", "x~y"])
def test_a_command_can_be_pasted_into_a_shell(id):
    pasted = subprocess.run(
        ["bash", "-c", f'resonate() {{ printf "%s\\n" "$@"; }}; {command("why", id)}'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert pasted.stdout.splitlines() == ["why", *(["--"] if id == "-rf" else []), id]
    assert command("why", "order-1") == "resonate why order-1"
