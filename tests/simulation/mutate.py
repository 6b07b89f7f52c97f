"""Planted bugs: each is put into a copy of the library, and has to be found by the simulator, or by the properties.

A mutant is a file in `mutants/`: what it does, the file it changes, the text that is there and the text that takes its
place. The text is short, so that the code around it may change.

    python -m tests.simulation.mutate                 all of them, with a table
    python -m tests.simulation.mutate NAME ...        these
    python -m tests.simulation.mutate --hunt SEEDS    what a copy runs: simulate until something goes wrong
    python -m tests.simulation.mutate --crowd STEPS   the same with a hostile crowd and the protocol's properties
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from attrs import asdict, frozen

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCE = ROOT / "src" / "resonate"

SEEDS = 300
"""So many seeds of each shape are tried, all shapes by turns."""
CROWD = 20_000
"""So many steps of the hostile crowd are tried."""
PATIENCE_S = 300


@frozen(kw_only=True)
class Mutant:
    """A planted bug.

    Args:
        name: that of its file.
        about: what it does, in a sentence.
        file: what it changes, below the package.
        old: the text that is there, once.
        new: the text that takes its place.
        net: what has to catch it: the simulator, or, where only a hostile client could tell, the properties.
    """

    name: str
    about: str
    file: str
    old: str
    new: str
    net: str = "simulator"

    def applied(self, text: str) -> str:
        """Return the file's text with the bug in it. Raise `ValueError` if its place is not there, or not once."""
        found = text.count(self.old)
        if found != 1:
            msg = f"the mutant {self.name} changes a text that is in {self.file} {found} times: mend its `old`"
            raise ValueError(msg)
        return text.replace(self.old, self.new)


@frozen(kw_only=True)
class Catch:
    """How a mutant was caught: by which net, after how many runs, and what it was that went wrong."""

    net: str
    runs: int
    shape: str = ""
    why: str = ""


def mutants() -> Iterator[Mutant]:
    """Yield all mutants, by name."""
    for path in sorted((HERE / "mutants").glob("*.toml")):
        yield Mutant(name=path.stem, **tomllib.loads(path.read_text()))


def hunt(seeds: int) -> Catch | None:
    """Simulate all shapes by turns until something goes wrong; return what did."""
    from resonate.testing.simulation import SimulationFailed, simulate
    from tests.simulation.simulated import SIMULATED

    runs, first, size = 0, 1, 2
    while first <= seeds:
        for shape, case in SIMULATED.items():
            chosen = range(first, min(first + size, seeds + 1))
            try:
                simulate(case.fn, *case.args, seeds=chosen, shrinks=False, **case.settings)
            except SimulationFailed as failed:
                runs += 1 + max(0, failed.seed - first)
                return Catch(net="simulator", runs=runs, shape=shape, why=failed.message)
            except BaseException as error:  # noqa: BLE001 - whatever a planted bug raises gives it away
                return Catch(net="simulator", runs=runs + 1, shape=shape, why=f"{type(error).__name__}: {error}")
            runs += len(chosen)
        first, size = first + size, 2 * size
    return None


def catch(mutant: Mutant, seeds: int) -> Catch | None:
    """Put a mutant into a copy of the library, and return how it is caught there; None if it is not."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src" / "resonate"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        changed = copy / mutant.file
        changed.write_text(mutant.applied(changed.read_text()))
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(copy.parent), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
        }
        found: Catch | None = None
        if mutant.net == "simulator":
            found = _by_simulator(seeds, env)
        return found or _by_properties(env)


def _by_simulator(seeds: int, env: dict[str, str]) -> Catch | None:
    command = [sys.executable, "-m", "tests.simulation.mutate", "--hunt", str(seeds)]
    try:
        ended = subprocess.run(
            command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Catch(net="simulator", runs=0, why=f"it hangs for more than {PATIENCE_S} s")
    if ended.returncode:
        return Catch(net="simulator", runs=0, why=ended.stderr.strip().splitlines()[-1] if ended.stderr else "it died")
    told = json.loads(ended.stdout.splitlines()[-1])
    return None if told is None else Catch(**told)


def crowd(steps: int) -> Catch | None:
    """Let a hostile crowd ask for whatever it likes; return what went wrong."""
    from hypothesis import HealthCheck, Phase, settings
    from hypothesis.stateful import run_state_machine_as_test

    from tests.property.machine import ProtocolMachine

    options = settings(
        max_examples=steps // 50,
        stateful_step_count=50,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(ProtocolMachine, settings=options)
    except Exception as error:  # noqa: BLE001 - whatever a planted bug raises gives it away
        return Catch(net="properties", runs=0, why=str(error).splitlines()[0])
    return None


def _by_properties(env: dict[str, str]) -> Catch | None:
    command = [sys.executable, "-m", "tests.simulation.mutate", "--crowd", str(CROWD)]
    ended = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    told = json.loads(ended.stdout.splitlines()[-1])
    if told is not None:
        return Catch(**told)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "tests/unit/protocol"]
    ended = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode == 0:
        return None
    why = [line for line in ended.stdout.splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))]
    return Catch(net="properties", runs=0, why=why[0].removeprefix("E").strip() if why else "a test fails")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--hunt", type=int, default=0)
    parser.add_argument("--crowd", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    if chosen.hunt or chosen.crowd:
        caught = hunt(chosen.hunt) if chosen.hunt else crowd(chosen.crowd)
        sys.stdout.write(json.dumps(None if caught is None else asdict(caught)))
        return 0
    wanted = [mutant for mutant in mutants() if not chosen.names or mutant.name in chosen.names]
    missed = 0
    sys.stdout.write("| mutant | what it does | caught by | in run |\n|---|---|---|---|\n")
    with ThreadPoolExecutor(chosen.jobs) as pool:  # each mutant is looked for in processes of its own
        for mutant, caught in zip(wanted, pool.map(lambda one: _catch(one, chosen.seeds), wanted), strict=True):
            missed += caught is None
            where, runs = ("NOTHING", "") if caught is None else (caught.net, str(caught.runs or ""))
            sys.stdout.write(f"| `{mutant.name}` | {mutant.about} | {where} | {runs} |\n")
            sys.stdout.flush()
    return 1 if missed else 0


def _catch(mutant: Mutant, seeds: int) -> Catch | None:
    """Look for a mutant, and tell how long it took."""
    begun = perf_counter()
    try:
        caught = catch(mutant, seeds)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return None
    took = perf_counter() - begun
    sys.stderr.write(f"{mutant.name}: {took:.1f} s, {'not caught' if caught is None else caught.why}\n")
    return caught


if __name__ == "__main__":
    sys.exit(main())
