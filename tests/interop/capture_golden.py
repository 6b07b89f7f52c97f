"""Capture what the other SDKs write into tests/contract/golden: run them against a server behind a recorder.

    PYTHONPATH=src:. python -m tests.interop.capture_golden

The SDKs are those that `make interop` installs. The server is the TypeScript SDK's own in-process one; requests of
kinds that no SDK makes are made here, so that there is a reply to each kind. A few of each sort are kept, as they went
over the wire; an environment's own data (folders, host names) is in none of them.
"""

# ruff: noqa: T201 - what is found is told

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import ClientError, ClientSession, web

from tests.interop import peers

GOLDEN = Path(__file__).parents[1] / "contract" / "golden"
VERSION = "2026-04-01"
KEPT = 3
"""How many of each kind, status and state are kept of each SDK: the first."""


class Recorder:
    """Hands on one peer's requests and messages, and keeps their text."""

    exchanges: ClassVar[list[dict[str, Any]]] = []
    messages: ClassVar[list[dict[str, str]]] = []

    def __init__(self, server: str, who: str) -> None:
        self.server = server
        self.who = who

    async def post(self, request: web.Request) -> web.Response:
        sent = await request.text()
        async with ClientSession() as session, session.post(self.server, data=sent.encode()) as reply:
            text = await reply.text()
            self.exchanges.append({"by": self.who, "request": sent, "reply": text})
            return web.Response(text=text, status=reply.status, content_type="application/json")

    async def poll(self, request: web.Request) -> web.StreamResponse:
        group, pid = (request.match_info[name] for name in ("group", "pid"))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(ClientError):  # the peer has ended
            async with ClientSession() as session, session.get(f"{self.server}/poll/{group}/{pid}") as stream:
                async for line in stream.content:
                    if line.startswith(b"data:"):
                        self.messages.append({"to": self.who, "message": line.removeprefix(b"data:").strip().decode()})
                    await response.write(line)
        return response

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/", self.post)
        app.router.add_get("/poll/{group}/{pid}", self.poll)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", peers.free_port())
        await site.start()
        return site.name

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def run(*command: str) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    try:
        hello: dict[str, Any] = json.loads(await child.stdout.readline())
        await asyncio.wait_for(child.wait(), 45)
    finally:
        if child.returncode is None:
            child.kill()
    return hello


async def ask(url: str, kind: str, **data: Any) -> Any:
    request = {"kind": kind, "head": {"corrId": f"golden-{kind}", "version": VERSION}, "data": data}
    async with ClientSession() as session, session.post(url, json=request) as reply:
        return (await reply.json(content_type=None))["data"]


async def the_rest(url: str) -> None:
    """Ask for what no SDK asks for, and for what is refused."""
    later = int(time.time() * 1000) + 3_600_000
    target = {"resonate:target": "poll://any@nobody"}
    head = {"corrId": "inner", "version": VERSION}
    create = {"kind": "promise.create", "head": head, "data": {"id": "golden.own", "timeoutAt": later, "tags": target}}
    await ask(url, "task.create", pid="own-1", ttl=60_000, action=create)
    await ask(url, "task.get", id="golden.own")
    await ask(url, "task.get", id="golden.nothing")
    await ask(url, "task.create", pid="own-2", ttl=60_000, action=create)
    await ask(url, "task.halt", id="golden.own")
    await ask(url, "task.continue", id="golden.own")
    await ask(url, "task.acquire", id="golden.own", version=1, pid="own-1", ttl=60_000)
    await ask(url, "task.heartbeat", pid="own-1", tasks=[{"id": "golden.own", "version": 2}])
    await ask(url, "promise.create", id="golden.awaited", timeoutAt=later, tags={"resonate:external": "true"})
    await ask(url, "promise.register_callback", awaited="golden.awaited", awaiter="golden.own")
    await ask(url, "task.release", id="golden.own", version=9)
    await ask(url, "task.release", id="golden.own", version=2)
    await ask(url, "schedule.get", id="golden-nothing")
    for kind in ("promise.search", "task.search", "schedule.search"):
        await ask(url, kind, limit=2)


def sort_of(exchange: dict[str, Any]) -> tuple[Any, ...]:
    request, reply = json.loads(exchange["request"]), json.loads(exchange["reply"])
    data = request["data"]
    action = data.get("action", {})
    state = data.get("state") or action.get("data", {}).get("state")
    return exchange["by"], request["kind"], reply["head"]["status"], action.get("kind"), state


def first_of_each(exchanges: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    seen: dict[tuple[Any, ...], int] = {}
    for exchange in exchanges:
        sort = sort_of(exchange)
        seen[sort] = seen.get(sort, 0) + 1
        if seen[sort] <= KEPT:
            yield exchange


def write(name: str, what: Any) -> None:
    (GOLDEN / name).write_text(json.dumps(what, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


async def main() -> None:
    for why_not in (peers.no_node(), peers.no_official()):
        if why_not:
            sys.exit(why_not)
    GOLDEN.mkdir(exist_ok=True)
    here = peers.HERE
    with peers.node_server() as server:
        own = server.hello["url"]
        async with Recorder(own, "typescript") as url:
            ts = await run("node", str(here / "golden_peer.mjs"), str(peers.PACKAGES), url)
        async with Recorder(own, "python") as url:
            py = await run(str(peers.OFFICIAL), "-E", str(here / "golden_peer.py"), url)
        async with Recorder(own, "nobody") as url:
            await the_rest(url)
    write("values-typescript.json", ts)
    write("values-python.json", py)
    made_by = {"typescript": ts["package"], "python": py["package"], "server": server.hello["package"]}
    write("exchanges.json", {"made by": made_by, "exchanges": list(first_of_each(Recorder.exchanges))})
    kinds = {json.loads(each["message"])["kind"]: each for each in reversed(Recorder.messages)}
    write("messages.json", {"made by": made_by, "messages": [kinds[kind] for kind in sorted(kinds)]})
    found = sorted({(each["by"], json.loads(each["request"])["kind"]) for each in Recorder.exchanges})
    print("\n".join(" ".join(each) for each in found), *sorted(kinds), sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
