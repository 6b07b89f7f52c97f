"""What the linter found, and where."""

from __future__ import annotations

from attrs import frozen


@frozen(order=True)
class Finding:
    """One thing that a replay would not do again in the same way.

    Args:
        path: the file, as it was named.
        line: counted from 1.
        column: counted from 1.
        code: the rule's.
        text: what is wrong, as a sentence.
        cure: what to write instead, as a sentence.
        workflow: the workflow that it is in, or that calls the function that it is in.
    """

    path: str
    line: int
    column: int
    code: str
    text: str
    cure: str
    workflow: str

    def __str__(self) -> str:
        """Return it as one line that editors can follow."""
        return f"{self.path}:{self.line}:{self.column}: {self.code} {self.text} {self.cure}"
