"""Every example runs, and the demo tells right from wrong."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

DEMO = ROOT / "examples" / "demo.py"
OTHERS = sorted(path for path in DEMO.parent.glob("*.py") if path != DEMO)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}  # which the processes that it starts get, too
    return subprocess.run(
        [sys.executable, *command], check=False, capture_output=True, text=True, timeout=60, env=environment
    )


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name)
def test_an_example_runs_and_complains_of_nothing(path):
    done = run(str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_demo_tells_the_story():
    done = run(str(DEMO), "--fast")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout  # no colours in a pipe
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "All as it should be: what was recorded did not run again."
    for pattern in [
        r" *\d+\.\d s  !          shop-1, process \d+, was killed \(SIGKILL\)",
        r" *\d+\.\d s  shop-\d     +charge \$48.00: receipt-\d{4}, with the key order-42:1",
        r" *\d+\.\d s  shop-\d+ +finds order-42:1 in the record: not done again",
        r" *\d+\.\d s  office     the order is done: receipt-\d{4}, tracking-\d{4}",
        r"  order-42:1  charge +receipt-\d{4} +\d+ x, in \d+.*",
        r"  order-42:8  ship +tracking-\d{4} +\d+ x, in \d+.*",
        r"  \d+ of \d+ shops were killed\.",
    ]:
        assert any(re.fullmatch(pattern, line) for line in lines), pattern


def test_the_demo_fails_with_a_sentence():
    broken = (
        "import resonate.client, runpy, sys\n"
        "search = resonate.client.Promises.search\n"
        "async def forget(self, **options):\n"
        "    async for promise in search(self, **options):\n"
        "        if promise.id != 'order-42:4':\n"
        "            yield promise\n"
        "resonate.client.Promises.search = forget\n"
        "sys.argv = [sys.argv[1], '--fast']\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = run("-c", broken, str(DEMO))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1] == "The store has 8 promises of the order, not 9."


@pytest.fixture
def demo(monkeypatch):
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo", module)  # where type hints are looked up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("later", "wrongs"),
    [
        (("receipt", 3), []),
        (("receipt", 4), ["order-42:1 ran again after its result was recorded."]),
        (("another", 3), ["The recorded result of order-42:1 has changed."]),
    ],
)
def test_the_demo_compares_each_record_with_what_it_was(demo, tmp_path, later, wrongs):
    auditor = demo.Auditor(None, "order-42", demo.Book(tmp_path / "book.txt"))
    auditor.compare("order-42:1", "receipt", 3)
    auditor.compare("order-42:1", *later)
    assert auditor.wrongs == wrongs


def test_the_demo_knows_how_often_a_body_ran(demo, tmp_path):
    book = demo.Book(tmp_path / "book.txt")
    assert [book.begin(step) for step in ("a", "b", "a")] == [1, 1, 2]
    assert book.runs("a") == [str(os.getpid())] * 2
