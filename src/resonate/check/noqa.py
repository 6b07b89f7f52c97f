"""Comments that say not to report a finding: `# noqa: RSN101` for some codes, `# noqa` for all of a line's."""

from __future__ import annotations

import re
from typing import Final

from resonate.check.findings import Finding

_NOQA: Final = re.compile(r"#\s*noqa(?P<listed>:\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)


def silences(line: str, code: str) -> bool:
    """Say whether a line's comment silences a code."""
    for found in _NOQA.finditer(line):
        if found["listed"] is None:
            return not line[found.end() :].startswith(":")
        if code in re.split(r"[,\s]+", found["codes"].upper()):
            return True
    return False


def heard(findings: list[tuple[Finding, int]], source: str) -> list[Finding]:
    """Return the findings that no comment silences, on the line where each begins or on the one where it ends."""
    if "noqa" not in source.lower():
        return [finding for finding, _ in findings]
    lines = ["", *source.split("\n")]
    return [
        finding
        for finding, end in findings
        if not any(silences(lines[number], finding.code) for number in (finding.line, end))
    ]
