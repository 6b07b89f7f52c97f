"""Runs pytest in a process of its own, with the plugin, on files that a test writes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import frozen

import resonate

SOURCE = str(Path(resonate.__file__).parents[1])
PLUGINS = ["-p", "resonate.testing.plugin", "-p", "asyncio", "-p", "anyio", "-p", "no:cacheprovider"]


@frozen
class Ended:
    """What a run of pytest printed, and what it ended with."""

    code: int
    text: str

    def counts(self, **wanted: int) -> None:
        """Fail unless the last line counts just these outcomes."""
        last = self.text.rstrip().splitlines()[-1]
        found = {word.rstrip("s,"): int(number) for number, word in _pairs(last) if number.isdecimal()}
        found.pop("warning", None)
        assert found == {name.rstrip("s"): count for name, count in wanted.items()}, self.text


def _pairs(line: str) -> list[tuple[str, str]]:
    words = [word.strip("=,") for word in line.partition(" in ")[0].split()]
    return list(pairwise(words))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ended]:
    """Return what writes files, runs pytest on them, and tells what came of it."""

    def run_pytest(*arguments: str, ini: str = "", **files: str) -> Ended:
        (tmp_path / "pytest.ini").write_text(
            "[pytest]\nasyncio_default_fixture_loop_scope = function\n" + textwrap.dedent(ini)
        )
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *PLUGINS, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": SOURCE, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout + ended.stderr)

    return run_pytest
