"""For tests of workflows, and of adapters: virtual time, a harness, faults, contract suites."""

from resonate.core.protocol.dialect import FIELD
from resonate.testing.attempts import Attempt, Attempts
from resonate.testing.clock import VirtualClock
from resonate.testing.faults import CrashPoint, Faulty, When
from resonate.testing.field import NO_SEARCHES, OLDER, FieldServer
from resonate.testing.front import FrontTransport, HttpFront
from resonate.testing.harness import Harness

__all__ = [
    "FIELD",
    "NO_SEARCHES",
    "OLDER",
    "Attempt",
    "Attempts",
    "CrashPoint",
    "Faulty",
    "FieldServer",
    "FrontTransport",
    "Harness",
    "HttpFront",
    "VirtualClock",
    "When",
]
