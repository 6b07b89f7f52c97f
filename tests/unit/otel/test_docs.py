"""The guide's tables have what the code tells, and nothing else; and what is not used is not loaded."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from resonate.adapters.otel import meters

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "guide" / "telemetry.md").read_text()
CODE = "".join(path.read_text() for path in (ROOT / "src" / "resonate" / "adapters" / "otel").glob("*.py"))
LOGS = (ROOT / "src" / "resonate" / "logs.py").read_text()


def in_tables() -> set[str]:
    """Return the names in the first and last columns of the guide's tables."""
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`((?:resonate|code|error|exception)\.[\w.]+)`", row)}


def test_every_metric_and_attribute_is_in_the_guide_and_no_other():
    told = set(re.findall(r'"((?:resonate|code|error|exception)\.[\w.]+)"', CODE)) - {"resonate.telemetry"}
    assert in_tables() == told


def test_every_metric_has_a_row():
    names = {*meters.COUNTERS, *meters.HISTOGRAMS, meters.GAUGE}
    assert {
        line.split("`")[1] for line in GUIDE.splitlines() if re.match(r"\| `resonate\.[\w.]+` \| (?:c|h|g)", line)
    } == names


def test_every_attribute_of_a_log_line_is_in_the_guide():
    rows = "".join(line for line in GUIDE.splitlines() if line.startswith(("| `resonate_", "| `otel")))
    known = set(re.findall(r"`(\w+)`", rows))
    assert {name for name in known if name.startswith("otel")} == set(re.findall(r'"(otel\w+)"', LOGS))
    facts = {"execution", "step", "id", "function", "version", "attempt"}
    assert {name for name in known if name.startswith("resonate_")} == {f"resonate_{fact}" for fact in facts}


def test_opentelemetry_is_loaded_when_it_is_asked_for_and_not_before():
    code = (
        "import sys, resonate; assert not any(name.startswith('opentelemetry') for name in sys.modules);"
        "from resonate import OTel; OTel(); assert 'opentelemetry.trace' in sys.modules;"
        "assert 'opentelemetry.sdk' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(ROOT / "src")})
