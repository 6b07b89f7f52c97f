"""Real processes are killed, and nothing is lost: a sample of what `make kills` does in full."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no fork and no SIGKILL"),
]


def run(module: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", "-m", f"tests.kills.{module}", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_kill_at_any_boundary_of_the_demo_costs_nothing():
    said = run("sweep", "--sample", "12")
    kills = re.match(r"(\d+) kills at \d+ boundaries .*: nothing wrong", said)
    assert kills is not None
    assert int(kills[1]) > 50


def test_random_kills_under_load_cost_nothing():
    assert "20 kills in " in run("load", "--kills", "20", "--workflows", "20")
