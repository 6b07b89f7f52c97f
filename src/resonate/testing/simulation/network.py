"""The server of a simulation, and the network between it and its clients, with all that can go wrong there.

Law 1: a request is done at the instant at which it arrives, in one go; its reply travels back.
Law 2: who asks hears in bounded time: of the reply, or that there was none.
Law 3: what was stored outlives a restart of the server; connections and messages on their way do not.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, TypeVar

from attrs import define, field, frozen

from resonate.adapters.memory import MemoryServer
from resonate.adapters.memory.store import MemoryStore
from resonate.core.protocol.addresses import anycast, preferring, unicast
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import Message
from resonate.core.protocol.requests import Rejection, Request, TaskSuspend
from resonate.errors import NetworkError
from resonate.ports.store import Notice, Reconnected, Store
from resonate.testing.simulation.faults import Fate, Fault, Kind
from resonate.testing.simulation.oracles import Fences, Finding
from resonate.testing.simulation.world import Process, World

R = TypeVar("R")

PATIENCE_MS: Final = 30_000
"""Who has no answer after this takes it that there is none."""
NOTICED_MS: Final = 30_000
"""A connection that breaks silently is noticed by now."""


@define(eq=False)
class Link:
    """One process's connection: what the server knows of it, and where its messages arrive."""

    process: Process
    group: str
    pid: str
    inbox: deque[Message | Notice] = field(factory=deque["Message | Notice"])
    reader: Future[None] | None = None
    wanted: bool = False
    connected: bool = False
    ever: bool = False
    store: MemoryStore | None = None
    generation: int = 0

    def arrive(self, message: Message | Notice) -> None:
        """Take in a message, in its own process."""
        self.inbox.append(message)
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)


class Network:
    """See the module's text. Implements `Backend` for each process by `backend`.

    Args:
        world: where it is.
        fate: what befalls requests and messages.
        serve: makes the server, on the clock that it is given.
        dialect: how the server is said to speak.
        on_process_fault: does what befalls processes: kills, pauses, deploys.
        tell: is told what happens, or None.
        found: is told of what no run may do.
    """

    def __init__(
        self,
        world: World,
        fate: Fate,
        serve: Callable[[Process], MemoryServer],
        *,
        dialect: Dialect,
        on_process_fault: Callable[[Process, Fault], None],
        tell: Callable[[Process, str], None] | None,
        found: Callable[[Finding], None],
    ) -> None:
        self.world = world
        self.found = found
        self.fate = fate
        self.dialect = dialect
        self.requests = 0
        self.messages = 0
        self.last_fault = world.now
        self._on_process_fault = on_process_fault
        self._tell = tell
        self._links: list[Link] = []
        self._restarts = 0
        self._slow_until = 0
        self.process = world.process("server")
        self.server = serve(self.process)
        self.up = True

    def backend(self, process: Process) -> Near:
        """Return the backend of the clients of one process."""
        return Near(self, process)

    def took(self, fault: Fault, process: Process) -> None:
        """Take note of a fault, and that it lasts for a while."""
        self.last_fault = max(self.last_fault, self.world.now + max(fault.ms, 0))
        if self._tell is not None:
            self._tell(process, f"*** {fault.told}")

    # ------------------------------------------------------------ requests

    def ask(self, process: Process, request: Request[Any]) -> Future[Any]:
        """Send a request from a process; the future is done when its sender hears of it."""
        answer: Future[Any] = process.create_future()
        self.requests += 1
        number = self.requests
        if self._tell is not None:
            self._tell(process, f"request {number}: {told(request)}")
        there, back = self._latency(), self._latency()
        lost = lost_reply = False
        for fault in self.fate.request(number):
            self.took(fault, process)
            match fault.kind:
                case Kind.LOSE:
                    lost = True
                case Kind.LOSE_REPLY:
                    lost_reply = True
                case Kind.DOUBLE:
                    if self.dialect.loses_answers or not isinstance(request, TaskSuspend):
                        self._arrive_in(there + fault.ms, process, request, None, 0)
                case Kind.DELAY:
                    there += fault.ms
                case Kind.RESTART:
                    self.restart(fault.ms)
                case Kind.SLOW:
                    self._slow_until = self.world.now + fault.ms
                case _:
                    self._on_process_fault(process, fault)
                    if not process.alive:
                        return answer
        if isinstance(request, TaskSuspend) and not self.dialect.loses_answers:
            # A network on which no answer gets lost that its sender counts on: it is done, and told of, or neither.
            lost, lost_reply, there, back = lost or lost_reply, False, min(there, PATIENCE_MS), 0
        if lost or there > PATIENCE_MS:
            self._fail_in(PATIENCE_MS if not lost else self.world.chance.randrange(PATIENCE_MS), process, answer)
        if not lost:
            self._arrive_in(there, process, request, None if lost_reply else answer, back)
        if lost_reply:
            self._fail_in(there + self.world.chance.randrange(PATIENCE_MS), process, answer)
        return answer

    def _latency(self) -> int:
        chance = self.world.chance
        ms = chance.randrange(4) if chance.random() < 0.9 else chance.randrange(60)
        return ms + chance.randrange(5_000) if self.world.now < self._slow_until else ms

    def _fail_in(self, ms: int, process: Process, answer: Future[Any]) -> None:
        process.timer(ms, _fail, answer)

    def _arrive_in(
        self, ms: int, process: Process, request: Request[Any], answer: Future[Any] | None, back: int
    ) -> None:
        restarts = self._restarts

        def arrive() -> None:
            if not self.up or restarts != self._restarts:
                if answer is not None:
                    process.timer(back, _fail, answer)
                return
            reply = self.server.ask(request)
            if self._tell is not None and isinstance(reply, Rejection):
                self._tell(self.process, f"refuses {told(request)}: {reply.status}, {reply.message}")
            if answer is not None:
                process.timer(back, _complete, answer, reply)

        self.world.after(ms, arrive)

    # ------------------------------------------------------------ connections

    def connect(self, link: Link) -> None:
        """Connect once, as soon as the server is up and the process hears of it."""
        link.wanted = True
        if link not in self._links:
            self._links.append(link)
        self._connect_in(self._latency(), link)

    def _connect_in(self, ms: int, link: Link) -> None:
        def connect() -> None:
            if not link.wanted or not link.process.alive or link.connected:
                return
            if not self.up:
                link.process.world.after(self.world.chance.randrange(1, 2_000), lambda: self._connect_in(0, link))
                return
            link.connected = True
            link.generation += 1
            _ = self.process.spawn(self._serve(link, link.generation), "connection")

        self.process.timer(ms, connect)

    async def _serve(self, link: Link, generation: int) -> None:
        store = link.store = self.server.connect(group=link.group, pid=link.pid)
        await store.start()
        link.process.timer(self._latency(), self._connected, link)
        async for message in store.messages():
            if link.generation == generation and not isinstance(message, Reconnected):
                self._deliver(link, message)

    def _connected(self, link: Link) -> None:
        if link.ever:
            link.arrive(Reconnected())
        link.ever = True
        if link.reader is not None and not link.reader.done():
            link.reader.set_result(None)

    def _deliver(self, link: Link, message: Message | Notice) -> None:
        self.messages += 1
        times = 1
        for fault in self.fate.message(self.messages):
            self.took(fault, link.process)
            times = 0 if fault.kind is Kind.LOSE_MESSAGE else 2
        if self._tell is not None:
            self._tell(self.process, f"message {self.messages} to {link.process.name}: {told(message)}")
        if times == 0 and not self.dialect.loses_messages:
            # A network on which nothing gets lost unnoticed: it was the connection that broke.
            link.process.timer(self.world.chance.randrange(NOTICED_MS), link.arrive, Reconnected())
        if not link.process.alive:
            return
        for _ in range(times):
            link.process.timer(self._latency(), link.arrive, message)

    def disconnect(self, link: Link) -> None:
        """Take note, in a while, that a process has closed its connection, or is no more."""
        link.wanted = False

        def gone() -> None:
            if link.store is not None and link.connected:
                link.connected = False
                _ = self.process.spawn(link.store.stop(), "disconnection")

        self.process.timer(self._latency(), gone)

    def killed(self, process: Process) -> None:
        """Take note that a process is no more: its connections break, at once or when it is noticed."""
        for link in [link for link in self._links if link.process is process]:
            self._links.remove(link)
            noticed = self.world.chance.choice((0, self.world.chance.randrange(NOTICED_MS)))
            self.world.after(noticed, lambda link=link: self.disconnect(link))  # type: ignore[misc]

    def restart(self, ms: int) -> None:
        """Restart the server, which is away for a while."""
        if not self.up:
            return
        self.up = False
        self._restarts += 1
        dead, stored = self.process, self.server
        dead.kill()
        self.process = self.world.process("server")
        for link in self._links:
            link.connected = False
            link.store = None
            link.generation += 1

        def back() -> None:
            self.up = True
            self.server = stored.restarted(self.process.clock)
            for link in self._links:
                if link.wanted:
                    self._connect_in(self.world.chance.randrange(1, 5_000), link)

        self.world.after(ms, back)


@frozen(eq=False)
class Near:
    """The backend of one process. Implements `resonate.ports.store.Backend`."""

    network: Network
    process: Process

    @property
    def clock(self) -> Any:
        """The process's own clock."""
        return self.process.clock

    def connect(self, *, group: str, pid: str) -> Store:
        """See the port."""
        return _RemoteStore(self.network, Link(self.process, group, pid), Fences(self.process, self.network.found))


class _RemoteStore:
    """Implements `resonate.ports.store.Store` over the network."""

    def __init__(self, network: Network, link: Link, fences: Fences) -> None:
        self._network = network
        self._link = link
        self._fences = fences
        self._open = False

    @property
    def dialect(self) -> Dialect:
        return self._network.dialect

    @property
    def unicast(self) -> str:
        return unicast(self._link.group, self._link.pid)

    def anycast(self, group: str | None = None) -> str:
        return anycast(self._link.group if group is None else group)

    def prefer(self) -> str:
        return preferring(self._link.group, self._link.pid)

    async def start(self) -> None:
        self._open = True
        self._network.connect(self._link)
        while not self._link.ever:
            await self._wait()

    async def stop(self) -> None:
        self._open = False
        self._network.disconnect(self._link)
        reader = self._link.reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    async def send(self, request: Request[R]) -> R | Rejection:
        self._fences.asks(request)
        answer: Future[R | Rejection] = self._network.ask(self._link.process, request)
        reply = await answer
        self._fences.hears(request, reply)
        return reply

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        for request in requests:
            self._fences.asks(request)
        answers = [self._network.ask(self._link.process, request) for request in requests]
        replies: list[Any] = []
        for answer in answers:
            try:
                replies.append(await answer)
            except NetworkError as error:
                replies.append(error)
        for request, reply in zip(requests, replies, strict=True):
            self._fences.hears(request, reply)
        return replies

    async def messages(self) -> AsyncIterator[Message | Notice]:
        while self._open:
            if self._link.inbox:
                yield self._link.inbox.popleft()
            else:
                await self._wait()

    async def _wait(self) -> None:
        reader = self._link.reader = self._link.process.create_future()
        try:
            await reader
        finally:
            self._link.reader = None


def _complete(answer: Future[Any], reply: object) -> None:
    if not answer.done():
        answer.set_result(reply)


def _fail(answer: Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(NetworkError("The request was not answered."))


def told(thing: Any) -> str:
    """Tell a request or a message in one line."""
    action = getattr(thing, "action", None)
    if action is not None:
        return f"{_kind(thing)} {thing.id if hasattr(thing, 'id') else ''}: {told(action)}".replace("  ", " ")
    parts = [_kind(thing)]
    for name in ("id", "awaited", "version", "state", "delta"):
        value = getattr(thing, name, None)
        if value is not None and value is not False:
            parts.append(f"v{value}" if name == "version" else str(getattr(value, "value", value)))
    if (promise := getattr(thing, "promise", None)) is not None:
        parts.append(promise.id)
    parts += [f"{ref.id} v{ref.version}" for ref in getattr(thing, "tasks", ())]
    awaited = [one.awaited for one in getattr(thing, "actions", ())]
    return " ".join(parts) + (f" until one of {', '.join(awaited)}" if awaited else "")


def _kind(thing: Any) -> str:
    return str(getattr(thing, "kind", type(thing).__name__.lower()))
