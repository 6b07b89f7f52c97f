"""Value classes that nobody changes, at no cost.

Law 1: to a type checker these are attrs' frozen classes: assigning to a field is an error there.
Law 2: when the program runs nothing keeps a field from being assigned to: such a guard doubles the cost of making an
    object, and a step makes about thirty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as frozen  # noqa: PLC0414 - handed on
else:
    from functools import partial

    from attrs import define

    frozen = partial(define, unsafe_hash=True, on_setattr=None)
