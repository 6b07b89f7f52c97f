"""The pages say what the code renders today."""

from __future__ import annotations

import pytest

from tests.docs.generated import renewed
from tests.docs.pages import ROOT, pages


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_text_is_up_to_date(path):
    text = path.read_text()
    assert renewed(text) == text, "run `make generate`"
    assert text.count("<!-- generated:") == text.count("<!-- end of generated -->"), "a marker is not closed"


def picture():
    return "stateDiagram-v2\n    pending --> resolved\n"


def test_a_marked_part_is_rendered_by_the_function_it_names():
    old = f"before\n<!-- generated: mermaid {__name__}:picture -->\nold\n<!-- end of generated -->\nafter\n"
    new = renewed(old)
    assert "```mermaid\nstateDiagram-v2\n    pending --> resolved\n```" in new
    assert "old" not in new
    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    assert renewed(new) == new
