"""Workers of three SDKs call each other's functions through a server: arguments, results and errors arrive as sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from resonate import ApplicationError, Resonate
from tests.interop.conftest import Site
from tests.interop.peers import PeerError

pytestmark = pytest.mark.interop

NAMES = {"this": "this client", "typescript": "TypeScript SDK", "official": "official Python SDK"}
PAIRS = [
    ("this", "typescript"),
    ("typescript", "this"),
    ("this", "official"),
    ("official", "this"),
    ("typescript", "official"),
    ("official", "typescript"),
]
VALUES: list[Any] = [
    None,
    True,
    0,
    -(2**53) + 1,
    0.1,
    1e300,
    "",
    'Grüße, 你好, 🦉 \u0000 " \\ \n',
    [],
    {},
    {"a": {"b": [1, 2.5, None, False, "x"]}, "": [[[]]], "ключ": "v"},
    ["x" * 20_000],
]


@pytest.fixture(params=PAIRS, ids="-calls-".join)
def pair(request: pytest.FixtureRequest, site: Site, record_property: Any) -> tuple[str, str]:
    caller, callee = request.param
    record_property("row", f"{NAMES[caller]} calls {NAMES[callee]}")
    record_property("column", site.server.name)
    return caller, callee


@pytest.fixture
async def call(site: Site, client: Resonate, pair: tuple[str, str]) -> Any:
    """Start a function of the callee as a client of the caller's SDK."""
    caller, callee = pair
    for who in {caller, callee} - {"this"}:
        await site.peer(who)

    async def start(func: str, *args: Any) -> Any:
        async with asyncio.timeout(20):
            if caller == "this":
                return await client.options(target=site.group(callee)).rpc(site.id(), func, *args)
            return await (await site.peer(caller)).start(site.id(), site.group(callee), func, *args)

    return start


@pytest.fixture
def lineage(site: Site, pair: tuple[str, str], record_property: Any) -> bool:
    """Whether the SDK that makes children here can. If not, see that the server refuses its ids, and say so."""
    if pair[1] == "this" or site.server.takes(":"):
        return True
    root = site.id()
    status, why = site.server.ask(
        "promise.create", id=f"{root}:1", timeoutAt=2**52, param={}, tags={"resonate:origin": root}
    )
    assert (status, why) == (400, "Promise ID must be prefixed by resonate:origin")
    record_property("refused", "yes")
    record_property(
        "difference",
        f"a workflow of the {NAMES[pair[1]]} can't have children: it names them `root:1`, and this server wants "
        f"`root.1` ({why})",
    )
    return False


async def test_values_come_back_as_they_were_sent(call: Any) -> None:
    assert await call("echo", VALUES) == VALUES


async def test_numbers_that_javascript_does_not_have(call: Any, pair: tuple[str, str], record_property: Any) -> None:
    back = await call("echo", [2.0, 2**53 + 1])
    if "typescript" in pair:
        assert back == [2, 2**53]
        record_property("difference", "through the TypeScript SDK 2.0 comes back as 2, and 2**53 + 1 as 2**53")
    else:
        assert back == [2.0, 2**53 + 1]
        assert isinstance(back[0], float)


async def test_two_arguments_give_one_result(call: Any) -> None:
    assert await call("add", 2, 0.5) == 2.5


async def test_a_failure_tells_what_it_was(call: Any, pair: tuple[str, str]) -> None:
    with pytest.raises((PeerError, ApplicationError, KeyError)) as caught:
        await call("fail", "no such book: Ünïcode")
    assert "no such book: Ünïcode" in str(caught.value)
    if pair[0] == "this":
        assert isinstance(caught.value, ApplicationError)
        assert caught.value.name == ("TypeError" if pair[1] == "typescript" else "")


async def test_a_workflow_calls_back(site: Site, call: Any, pair: tuple[str, str], lineage: bool) -> None:
    if lineage:
        name = {"this": "this", "typescript": "typescript", "official": "python"}[pair[1]]
        assert await call("relay", site.group(pair[0]), "add", [3, 4]) == {"by": name, "got": 7}


async def test_a_workflow_catches_what_it_calls_raise(
    site: Site, call: Any, pair: tuple[str, str], lineage: bool
) -> None:
    if lineage:
        failure = await call("rescue", site.group(pair[0]), "fail", ["out of stock"])
        assert "out of stock" in failure["message"]


async def test_a_workflow_fans_out(site: Site, call: Any, pair: tuple[str, str], lineage: bool) -> None:
    if lineage:
        assert await call("fan", site.group(pair[0]), "add", 10) == list(range(1, 11))
