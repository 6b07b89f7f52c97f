"""The clock of the machine this runs on."""

from resonate.adapters.clock.system import SystemClock

__all__ = ["SystemClock"]
