"""Servers and peers for the exchanges, and the matrix of what was exchanged."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from attrs import define, field, frozen

from resonate import Resonate
from tests.interop import functions, peers

NODE = "node"
OWN = "server"
GIVEN = [url for url in os.environ.get("RESONATE_TEST_SERVER", "").split(",") if url]
FOREVER = 2**52


@frozen
class Server:
    """A server as raw requests see it."""

    name: str
    url: str

    def ask(self, kind: str, **data: Any) -> tuple[int, Any]:
        """Send one request; return status and data."""
        head = {"corrId": secrets.token_hex(4), "version": "2026-04-01"}
        reply = httpx.post(self.url, json={"kind": kind, "head": head, "data": data}).json()
        return reply["head"]["status"], reply["data"]

    def takes(self, separator: str) -> bool:
        """Whether `a{separator}1` and `a{separator}2` are of one origin. Both do not exist, so nothing changes."""
        probe = {"awaited": f"probe{separator}1", "awaiter": f"probe{separator}2"}
        return self.ask("promise.register_callback", **probe)[0] == 404

    @property
    def searches(self) -> bool:
        return self.ask("promise.search", limit=1)[0] == 200


@define
class Site:
    """One run at one server: names that nobody else uses, and the peers that were asked for."""

    server: Server
    run: str
    stack: ExitStack
    _peers: dict[str, peers.Process] = field(factory=dict)
    _count: int = 0

    def group(self, who: str) -> str:
        return f"{who}-{self.run}"

    def id(self) -> str:
        self._count += 1
        return f"{self.run}-{self._count}"

    async def peer(self, who: str) -> peers.Process:
        """Return the worker of an SDK, started when first asked for. Skip the test where it can't be."""
        make, why_not = {
            "typescript": (peers.typescript_worker, peers.no_node()),
            "official": (peers.official_worker, peers.no_official()),
        }[who]
        if why_not:
            pytest.skip(why_not)
        if who not in self._peers:
            self._peers[who] = self.stack.enter_context(make(self.server.url, self.group(who)))
            await self._peers[who].listening(self.group(who))
        return self._peers[who]


@pytest.fixture(scope="session", params=[NODE, *(GIVEN or [OWN] * bool(peers.COMMAND))])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        if request.param == NODE:
            why_not = peers.no_node()
            if why_not:
                pytest.skip(why_not)
            process = stack.enter_context(peers.node_server())
            server = Server(f"{process.hello['package']} (its in-process server)", process.hello["url"])
        elif request.param == OWN:
            own = stack.enter_context(peers.OwnServer(tmp_path_factory.mktemp("server")))
            server = Server(f"Resonate server ({peers.COMMAND.split()[0]})", own.url)
        else:
            server = Server(request.param, request.param)
        yield Site(server, secrets.token_hex(3), stack)


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Resonate]:
    """This client, with the functions that the peers have."""
    resonate = Resonate(site.server.url, group=site.group("this"), ttl=5, grace=1)
    functions.register(resonate)
    async with resonate:
        yield resonate


# ---------------------------------------------------------------- the matrix


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print who exchanged what with whom through which server."""
    cells: dict[tuple[str, str], list[str]] = {}
    notes: dict[str, list[str]] = {}
    for outcome in ("passed", "failed", "skipped", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            told = dict(getattr(report, "user_properties", ()))
            if "row" not in told:
                continue
            word = next((name for name in ("refused", "differs") if outcome == "passed" and name in told), outcome)
            cells.setdefault((told["row"], told["column"]), []).append(word)
            for name, text in report.user_properties:
                if name == "difference":
                    notes.setdefault(told["column"], []).append(text)
    if cells:
        _print_matrix(terminalreporter, cells, notes)
        if not GIVEN and not peers.COMMAND:
            terminalreporter.write_line(
                "no Resonate server was tried: RESONATE_TEST_SERVER is not set to the URL of one"
            )


def _print_matrix(
    terminal: pytest.TerminalReporter, cells: dict[tuple[str, str], list[str]], notes: dict[str, list[str]]
) -> None:
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    width = max(len(row) for row in rows)
    terminal.section("interop matrix: exchanges done, of those tried")
    for number, column in enumerate(columns, 1):
        terminal.write_line(f"({number}) {column}")
    terminal.write_line(" " * width + "".join(f"  {f'({number})':>18}" for number in range(1, len(columns) + 1)))
    for row in rows:
        terminal.write_line(row.ljust(width) + "".join(f"  {_cell(cells.get((row, c), [])):>18}" for c in columns))
    for number, column in enumerate(columns, 1):
        for text in dict.fromkeys(notes.get(column, [])):
            terminal.write_line(f"difference at ({number}): {text}")


def _cell(words: list[str]) -> str:
    if not words or set(words) == {"skipped"}:
        return "skipped" if words else "-"
    text = f"{words.count('passed')} of {len(words) - words.count('skipped')}"
    others = [
        f", {words.count(word)} {told}"
        for word, told in (("refused", "refused"), ("differs", "differ"))
        if word in words
    ]
    return text + "".join(others)
