"""What goes wrong in a simulated run: how likely each kind is, or exactly which.

Law 1: a fault is about the n-th request (or the n-th message, or the n-th process) of a run, so a run is told by its
    seed and its faults.
Law 2: what is drawn for faults is drawn apart from everything else: a run with the same seed and fewer faults is the
    same run up to the first fault that is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from random import Random
from typing import Any, Final, Self, TypeAlias

from attrs import evolve, field, frozen

from resonate.errors import UsageError


class Kind(StrEnum):
    """Kinds of faults. The first eight are about a request, then one about a process, then two about a message."""

    LOSE = "lose"
    LOSE_REPLY = "lose-reply"
    DOUBLE = "double"
    DELAY = "delay"
    KILL = "kill"
    PAUSE = "pause"
    RESTART = "restart"
    SLOW = "slow"
    DEPLOY = "deploy"
    SKEW = "skew"
    LOSE_MESSAGE = "lose-message"
    DOUBLE_MESSAGE = "double-message"


OF_REQUESTS: Final = (
    Kind.LOSE,
    Kind.LOSE_REPLY,
    Kind.DOUBLE,
    Kind.DELAY,
    Kind.KILL,
    Kind.PAUSE,
    Kind.RESTART,
    Kind.SLOW,
    Kind.DEPLOY,
)
OF_MESSAGES: Final = (Kind.LOSE_MESSAGE, Kind.DOUBLE_MESSAGE)
OF_PROCESSES: Final = (Kind.SKEW,)

_ABOUT: Final = {
    Kind.LOSE: "request {at} is lost",
    Kind.LOSE_REPLY: "request {at} is done, its reply is lost",
    Kind.DOUBLE: "request {at} arrives twice, the second time {ms} ms later",
    Kind.DELAY: "request {at} arrives {ms} ms late",
    Kind.KILL: "who sends request {at} is killed {when}",
    Kind.PAUSE: "who sends request {at} stands still for {ms} ms",
    Kind.RESTART: "the server restarts at request {at}, and is away for {ms} ms",
    Kind.SLOW: "the server is slow for {ms} ms from request {at} on",
    Kind.DEPLOY: "all workers are replaced by new ones from request {at} on",
    Kind.SKEW: "the clock of process {at} is off by {ms} ms",
    Kind.LOSE_MESSAGE: "message {at} is lost",
    Kind.DOUBLE_MESSAGE: "message {at} arrives twice",
}


@frozen
class Fault:
    """One thing that goes wrong.

    Args:
        kind: what.
        at: to the how-manieth request, message or process of the run, from 1.
        ms: how late, how long, how far; for a kill: how long after the request was sent, and -1 for before.
    """

    kind: Kind
    at: int
    ms: int = 0

    def __str__(self) -> str:
        """Write it as `Plan.parse` reads it."""
        when = " before" if self.kind is Kind.KILL and self.ms < 0 else f"{self.ms:+d}" if self.ms else ""
        return f"{self.kind.value} {self.at}{when}"

    @property
    def told(self) -> str:
        """What happens, in words."""
        when = "before it is sent" if self.ms < 0 else f"{self.ms} ms after it was sent"
        return _ABOUT[self.kind].format(at=self.at, ms=self.ms, when=when)


QUIET: Final = 0.1
"""The share of runs of a swarm in which nothing goes wrong, so that what must not happen then can be looked for."""

_WRITTEN: Final = re.compile(r"([a-z-]+) (\d+)(?: (before)|([+-]\d+))?")


@frozen
class Plan:
    """Exactly these faults. Its text is read by `simulate(faults="...")`."""

    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return ", ".join(str(fault) for fault in self.faults)

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Read what a failing run printed. Raise `UsageError`."""
        found: list[Fault] = []
        for part in (part.strip() for part in text.split(",")):
            match = _WRITTEN.fullmatch(part)
            if match is not None and match[1] in Kind._value2member_map_:
                found.append(Fault(Kind(match[1]), int(match[2]), -1 if match[3] else int(match[4] or 0)))
            elif part:
                raise UsageError(
                    f"There is no fault {part!r}.",
                    hint='Write kind, number and milliseconds, as in "kill 12+40, kill 15 before, lose-reply 20".',
                )
        return cls(tuple(found))


def _is_a_share(_chance: object, _attribute: object, share: float) -> None:
    if not 0 <= share <= 1:
        raise UsageError(f"A share is a number from 0 to 1, not {share!r}.")


@frozen(kw_only=True)
class Chance:
    """How likely a kind of fault is, and when.

    Args:
        share: the share of requests (messages, processes) that it befalls, from 0 to 1.
        first: the first request (message, process) that it may befall, from 1.
        last: the last one.
        most: how many it befalls at most.
    """

    share: float = field(default=0.0, validator=_is_a_share)
    first: int = 1
    last: int = 300
    most: int = 6


Share: TypeAlias = float | Chance


def _chance(share: Share) -> Chance:
    return share if isinstance(share, Chance) else Chance(share=share)


@frozen(kw_only=True)
class Faults:
    """How likely each kind of fault is: a share of all requests (messages, processes), or a `Chance` with a schedule.

    Args:
        lose: the request does not arrive; its sender hears of an error.
        lose_reply: the request is done, and its sender hears of an error.
        double: the request arrives twice.
        delay: the request arrives late, maybe when its sender has given up.
        kill: its sender is killed, just before it sends it or soon after, and started anew later.
        pause: its sender stands still, maybe past its leases, and then goes on.
        restart: the server restarts: connections break, messages on their way are lost.
        slow: the server takes long for every request for a while.
        deploy: all workers are replaced, one by one, by ones that know the new version.
        skew: the process's clock is off.
        lose_message: a message of the server does not arrive.
        double_message: a message of the server arrives twice.
        swarm: in each run each kind is likelier, less likely or left out, as the seed has it; in some all are.
    """

    lose: Chance = field(default=Chance(), converter=_chance)
    lose_reply: Chance = field(default=Chance(), converter=_chance)
    double: Chance = field(default=Chance(), converter=_chance)
    delay: Chance = field(default=Chance(), converter=_chance)
    kill: Chance = field(default=Chance(), converter=_chance)
    pause: Chance = field(default=Chance(), converter=_chance)
    restart: Chance = field(default=Chance(), converter=_chance)
    slow: Chance = field(default=Chance(), converter=_chance)
    deploy: Chance = field(default=Chance(), converter=_chance)
    skew: Chance = field(default=Chance(), converter=_chance)
    lose_message: Chance = field(default=Chance(), converter=_chance)
    double_message: Chance = field(default=Chance(), converter=_chance)
    swarm: bool = True

    @classmethod
    def all(cls, **but: Share) -> Self:
        """Return all kinds, as likely as finds most; name those that are to be otherwise: `Faults.all(deploy=0)`."""
        likely: dict[str, Share] = {
            "lose": 0.03,
            "lose_reply": 0.03,
            "double": 0.03,
            "delay": 0.03,
            "kill": 0.05,
            "pause": 0.02,
            "restart": Chance(share=0.01, most=2),
            "slow": Chance(share=0.01, most=2),
            "deploy": Chance(share=0.01, most=1),
            "skew": 0.3,
            "lose_message": 0.1,
            "double_message": 0.1,
        }
        chosen: dict[str, Any] = {**likely, **but}
        return cls(**chosen)

    @classmethod
    def none(cls) -> Self:
        """Return that nothing goes wrong."""
        return cls()

    @classmethod
    def kills(cls, share: float = 0.08) -> Self:
        """Return that processes are killed, and nothing else."""
        return cls(kill=share, swarm=False)

    def of(self, kind: Kind) -> Chance:
        """Return how likely a kind is."""
        chance: Chance = getattr(self, kind.value.replace("-", "_"))
        return chance


class Fate:
    """What befalls the requests, messages and processes of one run; remembers what it has dealt."""

    def __init__(self, faults: Faults | Plan, seed: int) -> None:
        self.dealt: list[Fault] = []
        self._random = Random(seed ^ 0x5EED)  # noqa: S311 - a seed is to be guessed
        self._planned: dict[tuple[bool, bool, int], list[Fault]] | None = None
        self._chances: dict[Kind, Chance] = {}
        self._left: dict[Kind, int] = {}
        if isinstance(faults, Plan):
            self._planned = {}
            for fault in faults.faults:
                self._planned.setdefault(_place(fault.kind, fault.at), []).append(fault)
        else:
            quiet = faults.swarm and self._random.random() < QUIET
            for kind in Kind:
                chance = faults.of(kind)
                if faults.swarm:
                    share = 0.0 if quiet else min(1.0, chance.share * self._random.choice((0.0, 0.4, 1.0, 1.0, 2.5)))
                    chance = evolve(chance, share=share)
                self._chances[kind] = chance
                self._left[kind] = chance.most

    def request(self, number: int) -> list[Fault]:
        """Return what befalls a request."""
        return self._deal(OF_REQUESTS, number)

    def message(self, number: int) -> list[Fault]:
        """Return what befalls a message."""
        return self._deal(OF_MESSAGES, number)

    def process(self, number: int) -> list[Fault]:
        """Return what befalls a process that is started."""
        return self._deal(OF_PROCESSES, number)

    def _deal(self, kinds: Iterable[Kind], number: int) -> list[Fault]:
        if self._planned is not None:
            kind = next(iter(kinds))
            found = self._planned.get(_place(kind, number), [])
            self.dealt += found
            return found
        at = self._random.random()
        for kind in kinds:
            chance = self._chances[kind]
            at -= chance.share
            if at < 0:
                if not chance.first <= number <= chance.last or not self._left[kind]:
                    return []
                self._left[kind] -= 1
                fault = Fault(kind, number, self._amount(kind))
                self.dealt.append(fault)
                return [fault]
        return []

    def _amount(self, kind: Kind) -> int:
        chance = self._random
        match kind:
            case Kind.KILL:
                return -1 if chance.random() < 0.3 else chance.randrange(chance.choice((2, 12, 100, 2_000, 20_000)))
            case Kind.PAUSE:
                return chance.randrange(1, chance.choice((1_000, 40_000, 70_000, 200_000)))
            case Kind.DELAY:
                return chance.randrange(1, chance.choice((100, 5_000, 90_000)))
            case Kind.DOUBLE:
                return chance.randrange(1, chance.choice((10, 5_000, 90_000)))
            case Kind.RESTART | Kind.SLOW:
                return chance.randrange(1, chance.choice((100, 10_000, 60_000)))
            case Kind.SKEW:
                return chance.choice((-1, 1)) * chance.randrange(1, chance.choice((100, 10_000)))
            case Kind.DEPLOY | Kind.LOSE | Kind.LOSE_REPLY | Kind.LOSE_MESSAGE | Kind.DOUBLE_MESSAGE:
                return 0


def _place(kind: Kind, at: int) -> tuple[bool, bool, int]:
    return kind in OF_MESSAGES, kind in OF_PROCESSES, at
