"""What ends a process, raised by a step, is that step's failure; raised by the keyboard, it ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import resonate

HEAD = """
import asyncio, logging, os, signal, sys
import resonate.sync
from resonate import ApplicationError, Context, Never, Resonate

logging.basicConfig(format="%(name)s %(levelname)s %(message)s")

def plain(what: str) -> None:
    raise {"keyboard": KeyboardInterrupt, "exit": SystemExit, "generator": GeneratorExit}[what]("me")

async def on_the_loop(what: str) -> None:
    await asyncio.sleep(0)
    plain(what)

def nothing() -> str:
    return "done"

async def asks(ctx: Context, step: str, what: str) -> str:
    try:
        await ctx.run({"plain": plain, "on_the_loop": on_the_loop}[step], what)
    except ApplicationError as error:
        return f"{error.name}: {error.message}"
    except RuntimeError as error:
        return f"RuntimeError: {error}"
    return "nothing was raised"

async def other(ctx: Context) -> str:
    await ctx.sleep(0.2)
    return await ctx.run(nothing)
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program whose source begins with `HEAD`."""
    return subprocess.run(
        [sys.executable, "-c", HEAD + dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(resonate.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


KINDS = (
    ("plain", "keyboard", "KeyboardInterrupt"),
    ("plain", "exit", "SystemExit"),
    ("plain", "generator", "RuntimeError"),
    ("on_the_loop", "keyboard", "KeyboardInterrupt"),
    ("on_the_loop", "exit", "SystemExit"),
)
OWN = f"""
kinds = {KINDS!r}

async def main():
    client = Resonate(retry=Never())
    for function in (asks, other):
        client.register(function)
    async with client:
        waits = await client.begin_run("other", other)
        for step, what, _ in kinds:
            print(await client.run(f"{{step}}-{{what}}", asks, step, what))
        print(await waits.result())

def blocking():
    client = resonate.sync.Resonate(retry=Never())
    for function in (asks, other):
        client.register(function)
    with client:
        waits = client.begin_run("other", other)
        for step, what, _ in kinds:
            print(client.run(f"{{step}}-{{what}}", asks, step, what))
        print(waits.result())

asyncio.run(main()) if sys.argv[1] == "async" else blocking()
"""


@pytest.mark.parametrize("client", ["async", "blocking"])
def test_what_a_step_raises_is_its_own_failure_and_hurts_nobody_else(client):
    ended = run(OWN, client)
    said = ["The step raised GeneratorExit(me)." if what == "generator" else "me" for _, what, _ in KINDS]
    told = [f"{name}: {text}" for (_, _, name), text in zip(KINDS, said, strict=True)]
    assert ended.stdout.splitlines() == [*told, "done"], ended.stderr
    assert ended.returncode == 0


KEYBOARD = """
async def press(times: int) -> None:
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(20)

async def pressed(ctx: Context, times: int) -> None:
    await ctx.run(press, times)

async def main(times):
    client = Resonate(grace=0)
    client.register(pressed)
    async with client:
        await client.run("x", pressed, times)

if sys.argv[1] == "runner":
    asyncio.run(main(int(sys.argv[2])))
else:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main(int(sys.argv[2])))
"""


@pytest.mark.parametrize(("loop", "times"), [("runner", "1"), ("runner", "2"), ("bare", "1")])
def test_the_keyboard_ends_the_process(loop, times):
    ended = run(KEYBOARD, loop, times)
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")
    assert ended.returncode != 0
    said = "resonate.steps WARNING The step x:1 (press) of the execution x was interrupted from the keyboard"
    assert (said in ended.stderr) == ((loop, times) != ("runner", "1"))
