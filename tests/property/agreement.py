"""The crowd of clients before several stores at once: all must answer alike and hold the same.

Time is virtual and the same for all. It moves behind the stores' backs, so that what is due is found now by a request
and now by the store's own alarm. What the stores send is left unread for a while, then read and compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from attrs import evolve, frozen
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from resonate.core.protocol.records import Message, PromiseState, ScheduleRecord
from resonate.core.protocol.requests import PromiseCreate, PromiseGet, PromiseSettle, Request
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.snapshot import PromiseSnapshot, Snapshot, TaskSnapshot
from resonate.ports.clock import Clock
from resonate.ports.store import Store
from resonate.testing import VirtualClock
from tests.property.crowd import RETRY_INTERVAL, START, Crowd, World

SETTINGS = Settings(retry_interval=RETRY_INTERVAL)
MEMBERS = (("workers", "w1"), ("ears", "3"), ("workers", "w2"))


class Server(Protocol):
    """A backend that shows what it holds."""

    def connect(self, *, group: str, pid: str) -> Store: ...

    def snapshot(self) -> Snapshot: ...


@frozen
class Seen:
    """A snapshot, by id."""

    promises: Mapping[str, PromiseSnapshot]
    tasks: Mapping[str, TaskSnapshot]
    schedules: Mapping[str, ScheduleRecord]


class AgreementMachine(Crowd):
    """Several servers from empty; the first is what the others are compared with."""

    steps: ClassVar[int] = 0
    make: ClassVar[Mapping[str, Callable[[Clock], Server]]] = {}
    reads_at_once: ClassVar[bool] = False
    """Whether some of the servers deliver each message at once, so that none is left to be compared."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = VirtualClock(START, auto_jump=False)
        self.servers = {name: make(self.clock) for name, make in self.make.items()}
        self.members: list[dict[str, Store]] = []
        self.join()
        self.seen = Seen({}, {}, {})
        self.compare()

    def teardown(self) -> None:
        type(self).steps += len(self.story)
        for member in self.members:
            self.run(*(store.stop() for store in member.values()))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    @property
    def world(self) -> World:
        return self.seen

    def run(self, *coroutines: Any) -> list[Any]:
        async def all_of_them() -> list[Any]:
            return [await one for one in coroutines]

        return self.loop.run_until_complete(all_of_them())

    # ------------------------------------------------------------ one step

    def ask(self, request: Request[Any]) -> object:
        self.story.append((self.now, request))
        replies = self.run(*(store.send(request) for store in self.members[0].values()))
        self.agree(replies, "the replies differ")
        self.compare()
        return replies[0]

    def elapse(self, ms: int) -> None:
        self.now += ms
        self.clock.jump_to(self.now)
        self.story.append((self.now, "time passes"))
        if self.reads_at_once:  # while a request is on its way, an alarm may be quicker: let both be done with it
            self.compare()

    def compare(self) -> None:
        """Let the stores do what is due, and compare what they hold."""
        self.run(self.clock.advance(0))
        snapshots = [evolve(server.snapshot(), now=self.now) for server in self.servers.values()]
        if self.reads_at_once:
            snapshots = [evolve(snapshot, outbox=()) for snapshot in snapshots]
        self.agree(snapshots, "the snapshots differ")
        first = snapshots[0]
        self.seen = Seen(
            {promise.record.id: promise for promise in first.promises},
            {task.id: task for task in first.tasks},
            {schedule.id: schedule for schedule in first.schedules},
        )

    def agree(self, things: Sequence[object], claim: str) -> None:
        for name, thing in zip(self.servers, things, strict=True):
            assert thing == things[0], self.tale(f"{claim}\n{next(iter(self.servers))}: {things[0]}\n{name}: {thing}\n")

    # ------------------------------------------------------------ many at once

    @rule(ids=st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=4), targeted=st.booleans())
    def send_many(self, ids: list[str], targeted: bool) -> None:
        """Settle and create some at once: each with its own reply."""
        tags = {"resonate:target": "poll://any@workers"} if targeted else {"resonate:external": "true"}
        requests: list[Request[Any]] = []
        for id in ids:
            requests += [
                PromiseSettle(id=id, state=PromiseState.RESOLVED),
                PromiseCreate(id=id, timeout_at=self.now + 1_000, tags=tags),
                PromiseGet(id),
            ]
        self.story.append((self.now, requests))
        self.agree(self.run(*(store.send_all(requests) for store in self.members[0].values())), "the replies differ")
        self.compare()

    # ------------------------------------------------------------ connections

    def join(self) -> None:
        group, pid = MEMBERS[len(self.members)]
        self.story.append((self.now, f"{pid} of {group} starts"))
        self.members.append({name: server.connect(group=group, pid=pid) for name, server in self.servers.items()})
        self.run(*(store.start() for store in self.members[-1].values()))

    @precondition(lambda self: len(self.members) < len(MEMBERS))
    @rule()
    def another_starts(self) -> None:
        self.join()
        self.compare()

    @precondition(lambda self: len(self.members) > 1)
    @rule()
    def one_stops(self) -> None:
        self.story.append((self.now, "the last to start stops"))
        self.run(*(store.stop() for store in self.members.pop().values()))
        self.compare()

    @precondition(lambda self: not self.reads_at_once)
    @rule()
    def read_messages(self) -> None:
        self.compare()  # so that all that is due has been done
        self.story.append((self.now, "all messages are read"))
        for member in self.members:
            self.agree(self.run(*(unread(store) for store in member.values())), "the messages differ")
        self.compare()


async def unread(store: Store) -> list[Message]:
    """Return what a store has to read now."""
    messages: list[Message] = []
    stream = store.messages()
    while True:
        one = asyncio.ensure_future(anext(stream))
        for _ in range(3):
            await asyncio.sleep(0)
        if not one.done():
            one.cancel()
            return messages
        messages.append(one.result())
