"""The command as a process of its own: pipes, terminals, exit codes, and a worker that was killed."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from resonate import Resonate

SRC = Path(__file__).parents[3] / "src"


def environment(url: str) -> dict[str, str]:
    inherited = {key: text for key, text in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    return {**inherited, "PYTHONPATH": str(SRC), "RESONATE_URL": url, "TERM": "xterm-256color"}


def run(url: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "resonate", *args]
    return subprocess.run(command, env=environment(url), capture_output=True, text=True, timeout=60, check=False)


def on_a_terminal(url: str, *args: str, answer: str = "", columns: int = 60) -> tuple[int, str]:
    """Run the command with a terminal for its input and output; return its exit code and what was on the screen."""
    terminal, its_end = pty.openpty()
    command = [sys.executable, "-m", "resonate", *args]
    told = {**environment(url), "COLUMNS": str(columns)}
    child = subprocess.Popen(command, env=told, stdin=its_end, stdout=its_end, stderr=its_end, start_new_session=True)
    os.close(its_end)
    if answer:
        os.write(terminal, answer.encode())
    seen = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not chunk:
            break
        seen += chunk
    os.close(terminal)
    return child.wait(), seen.decode()


@pytest.fixture
def url(file) -> str:
    return f"sqlite:///{file}"


def test_exit_codes_and_streams(url):
    done = run(url, "why", "order-asks")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("order-asks waits for order-asks:2: nobody has settled")
    missing = run(url, "tree", "nothing")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == "resonate: There is no promise nothing.\n"
    assert run(url, "frobnicate").returncode == 2
    assert run(f"{url}x", "ps").returncode == 3


def test_a_pipe_gets_no_colours_and_nothing_cut_off(url, file):
    name = "order-" + "x" * 300
    asyncio.run(offer(url, name))
    done = run(url, "ps")
    assert "\x1b" not in done.stdout
    assert any(name in line.split() for line in done.stdout.splitlines())
    assert not any(line.endswith(" ") for line in done.stdout.splitlines())


async def offer(url: str, *ids: str) -> None:
    async with Resonate(url, grace=0, group="sender") as client:
        for id in ids:
            await client.options(target="nobody").begin_rpc(id, "pack")


def test_a_terminal_gets_colours_and_nothing_cut_off(url):
    name = "order-" + "x" * 100
    asyncio.run(offer(url, name))
    code, screen = on_a_terminal(url, "ps", columns=80)
    assert code == 0
    assert "\x1b[" in screen
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen)
    assert "…" not in plain
    assert sum(line.count("x") for line in plain.splitlines()) >= 100


def test_text_from_the_store_commands_no_terminal(url):
    name = "order-\x1b]0;owned\x07\x1b[2J"
    asyncio.run(offer(url, name))
    for command in (["ps"], ["tree", name], ["why", name], ["promises", "get", name]):
        _, screen = on_a_terminal(url, *command, columns=200)
        assert "\x1b]" not in screen
        assert "\x07" not in screen
        assert "\x1b[2J" not in screen
        assert "\\x1b]0;owned\\x07" in re.sub(r"\x1b\[[0-9;]*m", "", screen)


def test_whoever_destroys_is_asked_at_a_terminal(url):
    code, screen = on_a_terminal(url, "cancel", "order-sleeps", answer="n\n")
    assert "Cancel order-sleeps? [y/N]" in screen
    assert code == 1
    assert "pending" in run(url, "promises", "get", "order-sleeps").stdout
    code, screen = on_a_terminal(url, "cancel", "order-sleeps", answer="y\n")
    assert (code, "order-sleeps is canceled." in screen) == (0, True)
    code, screen = on_a_terminal(url, "halt", "order-asks", "--yes")
    assert (code, "[y/N]" in screen) == (0, False)


def test_a_locale_that_can_not_write_everything_is_no_error(url):
    asyncio.run(offer(url, "größe"))
    env = {**environment(url), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}

    def told(*args: str) -> list[str]:
        command = [sys.executable, "-m", "resonate", *args]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.splitlines()

    assert told("tree", "order-calls")[2].startswith("`- order-calls:2  pack  queued")
    assert any("gr\\xf6\\xdfe" in line for line in told("ps"))


def test_a_reader_that_goes_away_is_no_error(url):
    command = [sys.executable, "-m", "resonate", "promises", "search", "--json", "--limit", "1000"]
    asyncio.run(offer(url, *(f"many-{n}" for n in range(300))))
    with subprocess.Popen(command, env=environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_it_is_told_apart_from_its_libraries_when_they_are_missing(tmp_path):
    for name in ("typer", "rich"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})\n")
    env = {**environment("sqlite:///x"), "PYTHONPATH": f"{tmp_path}{os.pathsep}{SRC}"}
    command = [sys.executable, "-m", "resonate", "ps"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "resonate: this command needs more: pip install 'resonate-durable[cli]'\n"


WORKER = """
    import asyncio, sys
    from resonate import Context, Resonate

    client = Resonate(sys.argv[1], pid="victim")

    async def charge():
        print("charging", flush=True)
        await asyncio.sleep(60)

    @client.register
    async def pay(ctx: Context):
        await ctx.run(charge)

    async def main():
        async with client:
            await client.run("paid", pay)

    asyncio.run(main())
"""


def test_a_worker_that_is_killed_is_known_to_be_dead(url):
    command = [sys.executable, "-c", textwrap.dedent(WORKER), url]
    with subprocess.Popen(command, env=environment(url), stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "charging\n"
        alive = run(url, "why", "paid").stdout
        worker.send_signal(signal.SIGKILL)
    dead = run(url, "why", "paid").stdout
    assert re.match(
        r"paid waits for paid:1: the step paid:1 \(charge\) has been running for .* in process victim, or between two "
        r"attempts \(that process's log says which\); its lease ends in \d+ s\.\n",
        alive,
    )
    assert re.match(r"paid \(pay\) is held by process victim, which is dead; its lease ends in \d+ s\.\n", dead)
