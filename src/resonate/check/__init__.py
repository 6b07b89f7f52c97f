"""A linter for workflows: finds, in the source, what would not be the same in a replay.

It reads code and never runs or imports it. What a call does is told from its name, so it finds what is written out;
what hides behind an object or another module it can't see. `resonate check PATHS` is its command.
"""

from resonate.check.findings import Finding
from resonate.check.module import check_source
from resonate.check.paths import Checked, Unreadable, check_paths
from resonate.check.report import as_json, as_text
from resonate.check.rules import RULES, Rule
from resonate.check.settings import CheckSettings, settings_of

__all__ = [
    "RULES",
    "CheckSettings",
    "Checked",
    "Finding",
    "Rule",
    "Unreadable",
    "as_json",
    "as_text",
    "check_paths",
    "check_source",
    "settings_of",
]
