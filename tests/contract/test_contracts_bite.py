"""The suites as a stranger runs them, and that they find what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from resonate.adapters.clock import SystemClock
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.memory import MemoryServer, MemoryStore
from resonate.core.protocol.records import Message, Unblock
from resonate.core.protocol.settings import Settings
from resonate.core.values import Value
from resonate.ports.clock import Clock
from resonate.testing import VirtualClock
from resonate.testing.contracts import MakeBackend, Samples, check_clock, check_codec, check_store

SAMPLES = Samples(values=[("text", str), ([1, 2], list[int])], misfits=[("text", str, int)])


async def test_the_memory_server_passes() -> None:
    await check_store(MemoryServer)


async def test_the_retry_interval_may_be_another() -> None:
    await check_store(lambda clock: MemoryServer(clock, Settings(retry_interval=700)), retry_interval=700)


async def test_the_clocks_pass() -> None:
    await check_clock(SystemClock)
    await check_clock(VirtualClock)


async def test_the_codec_passes() -> None:
    await check_codec(JsonCodec(), SAMPLES)


class Forgetful(MemoryServer):
    """Loses each unblock."""

    def connect(self, *, group: str, pid: str) -> MemoryStore:
        class Store(MemoryStore):
            async def messages(self) -> AsyncIterator[Message]:
                async for message in super().messages():
                    if not isinstance(message, Unblock):
                        yield message

        return Store(self, group, pid)


def sleepless(clock: Clock) -> MemoryServer:
    """Do nothing unasked."""

    class Stopped(VirtualClock):
        def now(self) -> int:
            return clock.now()

    return MemoryServer(Stopped(auto_jump=False))


def impatient(clock: Clock) -> MemoryServer:
    """Repeat a dispatch too soon."""
    return MemoryServer(clock, Settings(retry_interval=4_999))


@pytest.mark.parametrize("make", [Forgetful, sleepless, impatient])
async def test_a_wrong_store_is_found(make: MakeBackend) -> None:
    with pytest.raises(AssertionError):
        await check_store(make)


class Early(SystemClock):
    async def sleep_until(self, instant: int) -> None:
        await super().sleep_until(instant - 3)


class Backwards(SystemClock):
    calls = 0

    def now(self) -> int:
        self.calls += 1
        return super().now() - self.calls


@pytest.mark.parametrize("make", [Early, Backwards])
async def test_a_wrong_clock_is_found(make: type[Clock]) -> None:
    with pytest.raises(AssertionError):
        await check_clock(make)


class Lossy(JsonCodec):
    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        return str(super().decode(value, type_, at=at))


class Lenient(JsonCodec):
    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        return super().decode(value, Any, at=at)


class Greedy(JsonCodec):
    def reads(self, headers: Mapping[str, str]) -> bool:
        return True


class Silent(JsonCodec):
    def reads(self, headers: Mapping[str, str]) -> bool:
        return False


class Blind(JsonCodec):
    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        return super().decode(Value(data=value.data), type_, at=at)


@pytest.mark.parametrize(
    ("codec", "why"),
    [
        (Lossy(), "comes back"),
        (Lenient(), "does not fit"),
        (Greedy(), "is not read"),
        (Silent(), "reads what it writes"),
        (Blind(), "is refused"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_wrong_codec_is_found(codec: JsonCodec, why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        await check_codec(codec, SAMPLES)
