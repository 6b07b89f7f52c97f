"""For tests of workflows, and of adapters: virtual time, a harness, faults, contract suites.

A name is loaded when it is first asked for, since the pytest plugin lives here, too, and is loaded by every run of
pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resonate.core.protocol.dialect import FIELD
    from resonate.testing.attempts import Attempt, Attempts
    from resonate.testing.clock import VirtualClock
    from resonate.testing.faults import CrashPoint, Faulty, When
    from resonate.testing.field import NO_SEARCHES, OLDER, FieldServer
    from resonate.testing.front import FrontTransport, HttpFront
    from resonate.testing.harness import Harness
    from resonate.testing.replaying import replay, replay_folder

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
    "replay",
    "replay_folder",
]

_HOMES = {
    "resonate.core.protocol.dialect": ("FIELD",),
    "resonate.testing.attempts": ("Attempt", "Attempts"),
    "resonate.testing.clock": ("VirtualClock",),
    "resonate.testing.faults": ("CrashPoint", "Faulty", "When"),
    "resonate.testing.field": ("NO_SEARCHES", "OLDER", "FieldServer"),
    "resonate.testing.front": ("FrontTransport", "HttpFront"),
    "resonate.testing.harness": ("Harness",),
    "resonate.testing.replaying": ("replay", "replay_folder"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # which knows the names, and is to complain of others

    def __getattr__(name: str) -> Any:
        """Load a public name from where it is defined."""
        home = _HOME_OF.get(name)
        if home is None:
            msg = f"module 'resonate.testing' has no attribute {name!r}"
            raise AttributeError(msg)
        found = getattr(import_module(home), name)
        globals()[name] = found  # from now on it is found without a call
        return found


def __dir__() -> list[str]:
    """List the public names beside the rest, loaded or not."""
    return sorted({*globals(), *__all__})
