"""The documentation names every property and says what it means."""

from __future__ import annotations

from pathlib import Path

from resonate.core.protocol.properties import PROPERTIES
from resonate.core.protocol.properties.catalogue import catalogue

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "properties.md"


def test_every_property_has_its_line_on_the_page() -> None:
    lines = set(PAGE.read_text().splitlines())
    assert [p.name for p in PROPERTIES if f"- `{p.name}`: {p.meaning}" not in lines] == []


def test_the_catalogue_has_each_property_once() -> None:
    lines = catalogue().splitlines()
    assert [p.name for p in PROPERTIES if sum(line.startswith(f"- `{p.name}`:") for line in lines) != 1] == []
