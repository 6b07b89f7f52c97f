"""A shop on a file, at rest, and ways to run the command on it."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import frozen
from typer.testing import CliRunner

from resonate import Constant, Context, Resonate
from resonate.cli.app import app


@frozen
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self):
        return json.loads(self.out)


@frozen
class Command:
    """The command, told a store."""

    url: str | None

    def __call__(self, *args: str, env: dict[str, str] | None = None, code: int | None = 0) -> Answer:
        result = CliRunner().invoke(app, [*args], env={"RESONATE_URL": self.url, "RESONATE_TOKEN": None, **(env or {})})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code is None or result.exit_code == code, (result.stdout, result.stderr)
        return Answer(result.exit_code, result.stdout, result.stderr)


def charge(order: str) -> dict[str, str]:
    if order == "bad":
        msg = "card declined"
        raise ValueError(msg)
    return {"receipt": order}


async def checkout(ctx: Context, order: str) -> object:
    receipt = await ctx.options(retry=Constant(max_retries=0)).run(charge, order)
    if order == "asks":
        return await (await ctx.promise())
    if order == "sleeps":
        await ctx.sleep(timedelta(days=1))
    if order == "calls":
        return await ctx.options(target="warehouse").rpc("pack", order)
    return receipt


async def fill(url: str) -> None:
    """Run some executions, and stop while some wait."""
    client = Resonate(url, grace=0)
    client.register(checkout)
    async with client:
        for order in ("good", "bad"):
            with suppress(ValueError):
                await client.run(f"order-{order}", checkout, order)
        for order in ("asks", "sleeps", "calls"):
            await client.begin_run(f"order-{order}", checkout, order)
        await client.options(target="nobody").begin_rpc("lonely", "refund", 42, why="broken")
        await client.schedule("jubilee", "0 0 3 1 1 * 2099", checkout, "good")  # rings in no test run
        for order in ("asks", "sleeps", "calls"):
            while not await waiting(client, f"order-{order}"):
                pass


async def waiting(client: Resonate, id: str) -> bool:
    return (await client.tree(id)).root.status.value == "waiting"


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    asyncio.run(fill(f"sqlite:///{path}"))
    return path


@pytest.fixture
def file(filled, tmp_path) -> Path:
    """A file of its own for each test."""
    return Path(shutil.copy(filled, tmp_path / "shop.db"))


@pytest.fixture
def resonate(file) -> Command:
    """The command on the shop."""
    return Command(f"sqlite:///{file}")
