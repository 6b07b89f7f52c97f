"""The rules: code, name, and what to do about it. Each has a page in the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen


@frozen
class Rule:
    """One rule.

    Args:
        code: what it is called in output and in `noqa` comments.
        name: its subject, in a few words.
        cure: what to write instead, as a sentence.
    """

    code: str
    name: str
    cure: str


CLOCK: Final = Rule("RSN101", "Reads a clock", "Use await ctx.now(), which is recorded, or read it in a step.")
RANDOM: Final = Rule("RSN102", "Rolls dice", "Use ctx.random or ctx.uuid4(), or do it in a step.")
IO: Final = Rule("RSN103", "Does I/O", "Do it in a step: await ctx.run(fn, ...).")
OUTPUT: Final = Rule("RSN104", "Prints or logs", "Use ctx.logger, which is silent while history is replayed.")
BLOCKING: Final = Rule("RSN105", "Blocks its thread", "Use await ctx.sleep(...) or asyncio.sleep: both are durable.")
LEAVES: Final = Rule("RSN106", "Leaves the loop", "Run it as a step (ctx.run), or as a task of the workflow.")
PROCESS: Final = Rule("RSN107", "Asks the process", "Pass it in as an argument, or read it in a step.")
SETS: Final = Rule("RSN108", "Follows the order of a set", "Iterate over sorted(...), or keep a list or a dict.")
ADDRESS: Final = Rule("RSN109", "Uses id() or hash()", "Use a value of your own, or hashlib, the same everywhere.")
OUTER: Final = Rule("RSN110", "Changes state outside", "Keep it in a local variable, or change it in a step.")
DROPPED: Final = Rule("RSN111", "Drops a durable call", "Await it, or keep it and await it later.")
SWALLOWS: Final = Rule("RSN112", "Swallows cancellation", "Catch Exception, or end the handler with raise.")
CLIENT: Final = Rule("RSN113", "Uses a client", "Use the workflow's Context: ctx.run, ctx.rpc, ctx.promise.")
UNTYPED: Final = Rule("RSN114", "Has no return annotation", "Say what it returns: it is then read as that type.")

RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        rule.code: rule
        for rule in (
            CLOCK,
            RANDOM,
            IO,
            OUTPUT,
            BLOCKING,
            LEAVES,
            PROCESS,
            SETS,
            ADDRESS,
            OUTER,
            DROPPED,
            SWALLOWS,
            CLIENT,
            UNTYPED,
        )
    }
)
"""Every rule by its code."""


def table() -> str:
    """Return the rules as a table for the documentation."""
    lines = ["| code | what it finds | what to do |", "|---|---|---|"]
    lines += [f"| [{rule.code}]({rule.code}.md) | {rule.name} | {rule.cure} |" for rule in RULES.values()]
    return "\n".join(lines)
