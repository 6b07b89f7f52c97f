"""Every example runs, and the demo tells right from wrong."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from resonate import Resonate
from resonate.core import trace
from tests.docs.pages import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run_as_a_script(name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / name), "--fast"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_and_complains_of_nothing(path):
    done = run_as_a_script(path.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_demo_tells_the_story():
    lines = run_as_a_script("demo.py").stdout.splitlines()
    for line in [
        "day 0 00:00:03  shop-1     charge $48.00: done, with the key order-42:1",
        "day 3 01:00:00  !          shop-1 is killed in the middle of the packing",
        "day 3 01:00:33  shop-2     takes order-42 up again",
        "day 3 01:00:33  shop-2     finds order-42:1 in the record: not done again",
        "day 5 03:00:33  desk       the order is done: receipt-42, tracking-parcel-42",
        "  order-42:1  run charge@1         3 x  failed, failed, done",
        "  order-42:6  run pack@1           2 x  killed, done",
        "All as it should be: what was recorded did not run again.",
    ]:
        assert line in lines
    assert max(map(len, lines)) <= 80


def test_the_demo_has_no_colours_in_a_pipe():
    assert "\x1b" not in run_as_a_script("demo.py").stdout


@pytest.fixture
def demo(monkeypatch):
    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples" / "demo.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo", module)  # where type hints are looked up
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FAST", True)
    return module


async def test_the_demo_notices_a_step_that_runs_again(demo, monkeypatch):
    opened = demo.harness.open

    async def open_and_forget(client: Resonate) -> Resonate:
        if client.pid == "shop-2":  # as if the second worker had charged again
            demo.runs["order-42:1"] += 1
            demo.Witness.everyone[-1].events.append(
                ("", trace.StepFinished(id="order-42:1", outcome="resolved", duration_ms=0))
            )
        return await opened(client)

    monkeypatch.setattr(demo.harness, "open", open_and_forget)
    assert list(demo.wrongs(await demo.main())) == [
        "order-42:1 (run charge@1) ran 4 times, not 3.",
        "order-42:1 (run charge@1) ran again after its result was recorded.",
        "Steps ran 11 times in all, not 10.",
    ]


async def test_the_demo_notices_a_broken_law(demo):
    result = await demo.main()
    assert list(demo.wrongs(result)) == []
    second = demo.Witness.everyone[-1]
    day, last = second.events[-1]
    second.events[-1:] = [(day, trace.Spawn("order-42")), (day, last)]
    (sentence,) = demo.wrongs(result)
    assert "order-42, attempt 5, shop-2" in sentence
    assert "unique_spawn" in sentence


def test_the_demo_fails_with_a_sentence():
    broken = (
        "import runpy; from resonate.core import trace; trace.violated = lambda events: ('some_law',);"
        f"runpy.run_path({str(ROOT / 'examples' / 'demo.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", broken], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    assert "the events break the laws some_law." in done.stdout.splitlines()[-1]


async def test_the_demo_notices_another_result(demo):
    await demo.main()
    assert list(demo.wrongs("refunded")) == ["The order gave 'refunded'."]
