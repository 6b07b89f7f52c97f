"""Findings as text for people and editors, and as JSON for machines."""

from __future__ import annotations

import orjson
from attrs import asdict

from resonate.check.paths import Checked


def as_text(checked: Checked) -> str:
    """Return a line for each finding, and one that counts them."""
    lines = [str(one) for one in checked.findings]
    count = len(checked.findings)
    if count:
        lines.append(f"Found {count} {'thing' if count == 1 else 'things'} in {_files(checked.files)}.")
    elif not checked.unreadable:
        lines.append(f"Found nothing in {_files(checked.files)}.")
    return "\n".join(lines)


def as_json(checked: Checked) -> str:
    """Return `{"findings": [...], "unreadable": [...], "files": n}`."""
    return orjson.dumps(asdict(checked), option=orjson.OPT_INDENT_2).decode()


def _files(count: int) -> str:
    return f"{count} {'file' if count == 1 else 'files'}"
