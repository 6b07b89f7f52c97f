"""Runs workflows, workers and a server in one thread, on one seed and virtual time, and lets things go wrong."""

from resonate.testing.simulation.api import Report, crash_everywhere, simulate
from resonate.testing.simulation.cluster import Outcome, Run
from resonate.testing.simulation.failure import SimulationFailed
from resonate.testing.simulation.faults import Chance, Fault, Faults, Kind, Plan
from resonate.testing.simulation.oracles import Finding

__all__ = [
    "Chance",
    "Fault",
    "Faults",
    "Finding",
    "Kind",
    "Outcome",
    "Plan",
    "Report",
    "Run",
    "SimulationFailed",
    "crash_everywhere",
    "simulate",
]
