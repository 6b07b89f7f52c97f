"""What all executions of one worker share: ports in the core's nouns, defaults, and factories of impure things.

Law 1: an execution reaches the world through this value alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, field, frozen

from resonate.core.protocol.dialect import OURS, Dialect
from resonate.core.protocol.records import PromiseRecord
from resonate.core.registry import Registry
from resonate.core.retry import STEP_RETRY, RetryPolicy
from resonate.core.trace import LifecycleEvent
from resonate.core.values import Codec, plain_of
from resonate.errors import UsageError

DAY_MS = 86_400_000


class Dependencies:
    """Objects that functions ask for by name or type, instead of importing them."""

    def __init__(self, found: Mapping[object, object] | None = None) -> None:
        self._found: dict[object, object] = dict(found or {})

    def set(self, key: str | type, value: object) -> None:
        """Register `value` under `key`; a later call replaces an earlier one."""
        _check_key(key)
        self._found[key] = value

    def get(self, key: str | type) -> Any:
        """Return what is registered under `key`. Raise `UsageError` if nothing is."""
        _check_key(key)
        try:
            return self._found[key]
        except KeyError:
            name = key if isinstance(key, str) else key.__name__
            msg = f"No dependency is registered under {name!r}."
            raise UsageError(msg, hint="Call resonate.set_dependency with it before the worker starts.") from None

    def copy(self) -> Dependencies:
        """Return the same objects under the same keys, to be changed apart."""
        return Dependencies(self._found)


def _check_key(key: object) -> None:
    if not isinstance(key, str | type):
        raise UsageError(f"A dependency is registered under a name or a type, not {key!r}.")


def _keep_quiet(_sentence: str) -> None:
    """Tell nobody."""


@frozen(kw_only=True)
class Environment:
    """What an execution is given.

    Args:
        codec: writes and reads values.
        registry: finds functions.
        address: turns a target (a group's name or an address; None for this worker's group) into an address.
        random: makes a generator from a seed; equal seeds, equal streams, in every process.
        logger: makes the logger of a scope (function, what is known of it now, is it replaying).
        observe: hears of every lifecycle event, or None when nobody listens.
        timeout_ms: how long an execution may take unless its options say otherwise.
        step_timeout_ms: how long a step may take, with all its attempts, unless its options say otherwise.
        step_retry: the policy of steps that name none.
        warn: tells the developer something, as a sentence, once; a log, for example.
        timer_made: is told the id of each targeted timer: its task will be offered, and nobody is to run it.
        carried: what a promise that others settle takes along in its headers (the execution's promise, the id of
            whoever calls); None when no spans are made: then nothing is reported as settled, either.
        shortly_ms: for how long before it was cut off what an attempt reported may be lost, and is reported again.
        enter: called in the context in which a workflow's body will run (execution id, promise id, is it replaying).
        many: an execution with more promises than this is reported, and warned of, once.
    """

    codec: Codec
    registry: Registry
    address: Callable[[str | None], str]
    random: Callable[[str], Any]
    logger: Callable[[str, Callable[[], Mapping[str, object]], Callable[[], bool]], Any]
    observe: Callable[[LifecycleEvent], None] | None = None
    dialect: Dialect = OURS
    dependencies: Dependencies = field(factory=Dependencies)
    timeout_ms: int = 30 * DAY_MS
    step_timeout_ms: int = DAY_MS
    step_retry: RetryPolicy = STEP_RETRY
    warn: Callable[[str], None] = _keep_quiet
    timer_made: Callable[[str], None] = _keep_quiet
    carried: Callable[[PromiseRecord, str], Mapping[str, str]] | None = None
    shortly_ms: int = 0
    enter: Callable[[str, str, Callable[[], bool]], None] | None = None
    many: int = 1000
    plain: frozenset[type] = field(init=False, default=Factory(lambda self: plain_of(self.codec), takes_self=True))
