"""The properties in words, for the documentation: each by its name, with what its rule's docstring says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from resonate.core.protocol.properties import (
    state_between,
    state_promises,
    state_store,
    state_tasks,
    step_between,
    step_internal,
    step_promises,
    step_tasks,
)
from resonate.core.protocol.properties.named import StateProperty, StepProperty

CHAPTERS: Final[tuple[tuple[str, Sequence[StateProperty | StepProperty]], ...]] = (
    ("Every state: promises", state_promises.PROPERTIES),
    ("Every state: tasks", state_tasks.PROPERTIES),
    ("Every state: schedules and the store's collections", state_store.PROPERTIES),
    ("Every state: between objects", state_between.PROPERTIES),
    ("Every step: promises", step_promises.PROPERTIES),
    ("Every step: tasks", step_tasks.PROPERTIES),
    ("Every step: between objects", step_between.PROPERTIES),
    ("Every internal step", step_internal.PROPERTIES),
)


def catalogue() -> str:
    """Return a Markdown chapter per kind of property, with one line per property."""
    return "\n\n".join(_chapter(title, properties) for title, properties in CHAPTERS)


def _chapter(title: str, properties: Sequence[StateProperty | StepProperty]) -> str:
    lines = "\n".join(f"- `{p.name}`: {p.meaning}" for p in properties)
    return f"## {title}\n\n{lines}"
