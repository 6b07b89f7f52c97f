"""The protocol's named properties: what holds of every state of a store, and of every step between two.

A server is right if no state and no step of it violates one. Names are grammar: `well_formed_*` speaks of one object,
`consistent_*` of several, or of what moves together; `preserved_*` of what must not move; `monotone_*` of what moves
one way only.
"""

from __future__ import annotations

from resonate.core.protocol.properties.named import StateProperty, StepProperty, Verdict
from resonate.core.protocol.properties.registry import (
    INTERNAL_STEP_PROPERTIES,
    PROPERTIES,
    STATE_PROPERTIES,
    STEP_PROPERTIES,
    Census,
    violated_by,
    violated_state,
    violated_step,
)
from resonate.core.protocol.properties.view import Cause

__all__ = [
    "INTERNAL_STEP_PROPERTIES",
    "PROPERTIES",
    "STATE_PROPERTIES",
    "STEP_PROPERTIES",
    "Cause",
    "Census",
    "StateProperty",
    "StepProperty",
    "Verdict",
    "violated_by",
    "violated_state",
    "violated_step",
]
