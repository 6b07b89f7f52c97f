"""What comes of a replay."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen


class Agreement(StrEnum):
    """How far the code agrees with a recording."""

    WHOLE = "agrees to the end"
    SO_FAR = "agrees as far as it was recorded"
    NONE = "differs"


@frozen(kw_only=True)
class Side:
    """One side of a difference.

    Args:
        what: what is asked for, as `run charge@1`, or how it ends; empty for nothing.
        place: where, as `shop.py:31`; the whole path where it is known.
        line: the source at that place as it is today; empty if it can't be had.
    """

    what: str = ""
    place: str = ""
    line: str = ""

    def __str__(self) -> str:
        """Return what, where, and the line."""
        text = self.what or "nothing"
        if self.place:
            text += f"\n    at {self.place}"
        if self.line:
            text += f"\n        {self.line}"
        return text


@frozen(kw_only=True)
class Verdict:
    """What came of a replay.

    Args:
        execution: the execution's id.
        function: what it runs, as `checkout@1`.
        agreement: how far the code agrees.
        step: how many things the code asked for, the different one included; with no difference, all of them.
        of: how many things were recorded.
        id: the promise at which they differ; empty where it is none.
        reason: what differs, as a sentence; or what the agreement stops at.
        recorded: what the recording says there.
        asked: what the code does there.
        arguments: what differs in the arguments or the result, one line each: path, recorded, asked.
    """

    execution: str
    function: str
    agreement: Agreement
    step: int
    of: int
    id: str = ""
    reason: str = ""
    recorded: Side = field(factory=Side)
    asked: Side = field(factory=Side)
    arguments: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether no difference was found."""
        return self.agreement is not Agreement.NONE

    def check(self) -> None:
        """Raise `AssertionError` with the whole report if they differ."""
        if not self.agrees:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        """Return a report: one line if they agree, both sides if they do not."""
        if self.agreement is Agreement.WHOLE:
            return f"{self.execution} ({self.function}) agrees to the end: {_things(self.step)} asked for."
        if self.agreement is Agreement.SO_FAR:
            return (
                f"{self.execution} ({self.function}) agrees as far as it was recorded: "
                f"{_things(self.step)} asked for. {self.reason}"
            ).rstrip()
        lines = [f"{self.execution} ({self.function}) differs at step {self.step}"]
        lines[0] += f", {self.id}: {self.reason}" if self.id else f": {self.reason}"
        if self.recorded.what or self.asked.what:
            lines += [f"  recorded: {self.recorded}", f"  asked now: {self.asked}"]
        if self.arguments:
            lines.append("  the difference:")
            lines += [f"    {line}" for line in self.arguments]
        return "\n".join(lines)


def _things(count: int) -> str:
    return f"{count} {'thing' if count == 1 else 'things'}"
