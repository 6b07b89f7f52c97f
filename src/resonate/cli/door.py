"""The way from a command to a store and back: what it connects to, how it ends.

Law 1: a command that only reads takes no part: where a store can be read without joining in, it is.
Law 2: no command makes a file, and none takes a task.
Law 3: what goes wrong is a sentence on stderr and an exit code; a traceback is for who asks for one (`--debug`).
"""

from __future__ import annotations

import asyncio
import inspect
import os
import secrets
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from enum import IntEnum
from functools import wraps
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from attrs import frozen

from resonate import wiring
from resonate.adapters.codecs.plan import is_list
from resonate.cli.output import Output
from resonate.client import Resonate
from resonate.core.ids import is_unicode
from resonate.errors import AuthError, Conflict, EngineBug, NotFound, ResonateError, StoreError, UsageError
from resonate.ports.clock import Clock
from resonate.ports.store import Backend, Readable, Store

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

PATIENCE = 3.0
"""Seconds in which a server has to be reached."""
NO_URL = "Say which store: --url sqlite:///app.db or --url http://host:8001, or set RESONATE_URL."


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    STORE = 3
    AUTH = 4
    BUG = 70
    INTERRUPTED = 130
    PIPE = 141

    @property
    def meaning(self) -> str:
        """What it says, as the documentation has it."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.OK: "done",
    Exit.REFUSED: "there is no such thing, or the store's rules refused",
    Exit.USAGE: "the command line can't be right",
    Exit.STORE: "the store can't be reached, or failed",
    Exit.AUTH: "the server does not accept the credentials",
    Exit.BUG: "a bug of ours; the text says what to report",
    Exit.INTERRUPTED: "interrupted from the keyboard",
    Exit.PIPE: "the reader of the output went away",
}

Url = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="RESONATE_URL", show_default=False, help="The store: sqlite:///app.db, http://host:8001."
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="RESONATE_TOKEN",
        show_default=False,
        help="What a server is shown; the variable keeps it out of the list of processes.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of what goes wrong.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

COMMON = {"url": (Url, None), "token": (Token, None), "json": (Json, False), "debug": (Debug, False)}
"""The options of every command, with their defaults."""


@frozen(kw_only=True)
class Door:
    """What a command is given: its output, and the store that it was told.

    Args:
        url: where the store is.
        token: what a server is shown.
        out: where the answer goes.
        debug: whether what goes wrong is shown with its traceback.
    """

    url: str | None
    token: str | None
    out: Output
    debug: bool = False

    # ------------------------------------------------------------ stores

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[tuple[Store, Clock]]:
        """Open the store for what only reads. Raise `StoreError`, `UsageError`."""
        backend = self._backend()
        store = backend.reader() if isinstance(backend, Readable) else _connect(backend)
        async with _started(store):
            yield store, _clock(backend)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[tuple[Store, Clock]]:
        """Open the store for what changes it; it must be there. Raise `StoreError`, `UsageError`."""
        backend = self._backend()
        await _see(backend)
        async with _started(_connect(backend)) as store:
            yield store, _clock(backend)

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Resonate]:
        """Open a client of the store, which must be there: in a group of its own, so that it is offered no task."""
        backend = self._backend()
        await _see(backend)
        name = _own_name()
        async with Resonate(backend, group=name, pid=name, grace=0, threads=1) as client:
            yield client

    def _backend(self) -> Backend:
        if not self.url:
            raise UsageError(NO_URL)
        if self.url.startswith("memory:"):
            raise UsageError("What is in memory is seen by its own process alone.", hint=NO_URL)
        token = self.token if self.url.startswith(("http:", "https:")) else None
        return wiring.backend_of(self.url, None, token, patience=PATIENCE)

    # ------------------------------------------------------------ ends

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask whether to go on, where somebody can answer; leave if not."""
        if yes or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return
        if not typer.confirm(question, err=True):
            raise typer.Exit(Exit.REFUSED)

    def fail(self, error: ResonateError) -> NoReturn:
        """Say what went wrong, and leave with its exit code."""
        self.out.error(error)
        raise typer.Exit(code_of(error)) from error


def code_of(error: ResonateError) -> Exit:
    """Return the exit code that an error stands for."""
    match error:
        case UsageError():
            return Exit.USAGE
        case AuthError():
            return Exit.AUTH
        case NotFound() | Conflict() | Refused():
            return Exit.REFUSED
        case StoreError():
            return Exit.STORE
        case _:
            return Exit.BUG


class Refused(StoreError):
    """The store answered, and its rules say no."""


def command(app: typer.Typer, name: str | None = None) -> Callable[[F], F]:
    """Add a coroutine function to an application as a command; its first parameter is the `Door`.

    It gets the options that all commands have, and `--json`, `--debug`.
    """

    def add(function: F) -> F:
        @wraps(function)
        def called(context: typer.Context, **kwargs: Any) -> None:
            common = {key: said(context, key, kwargs.pop(key)) for key in COMMON}
            door = Door(
                url=common["url"], token=common["token"], out=Output(json=common["json"]), debug=common["debug"]
            )
            _run(door, lambda: _checked(function, door, kwargs))

        signature = inspect.signature(function, eval_str=True)
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        parameters = [context, *signature.parameters.values()]
        del parameters[1]
        parameters += [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, (kind, default) in COMMON.items()
        ]
        setattr(called, "__signature__", signature.replace(parameters=parameters))  # noqa: B010 - typer reads it
        called.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name)(called)
        return function

    return add


def common_options(url: Url = None, token: Token = None, *, json: Json = False, debug: Debug = False) -> None:
    """Take the options of every command before the command, too; `said` finds them there."""
    del url, token, json, debug


def said(context: typer.Context, name: str, value: Any) -> Any:
    """Return what an option was set to: behind the command, else before it, else by the environment or by default."""
    before: Any = context.find_root()  # which class of contexts this is differs between versions of typer
    if name in before.params and not _is_typed(context, name) and _is_typed(before, name):
        return before.params[name]
    return value


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


async def _checked(function: Callable[..., Coroutine[Any, Any, None]], door: Door, arguments: dict[str, Any]) -> None:
    """Call a command, once its arguments are texts that a store can carry. Raise `UsageError`."""
    for name, value in arguments.items():
        for text in value if is_list(value) else [value]:
            if isinstance(text, str) and ("\0" in text or not is_unicode(text)):
                raise UsageError(f"{name} holds what is no text in UTF-8: {text!a}.")
    if arguments.get("id") == "":
        raise UsageError("An id is not empty.")
    await function(door, **arguments)


def _run(door: Door, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        asyncio.run(_closing(work))
    except ResonateError as error:
        if door.debug:
            raise
        door.fail(error)
    except BrokenPipeError:
        # Python would find out again when it closes stdout at the end, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.PIPE) from None
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if door.debug:
            raise
        bug = f"The command failed: {type(error).__name__}: {error}."
        door.fail(EngineBug(bug, hint="Please report it, with what --debug prints."))


async def _closing(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await work()
    sys.stdout.flush()


async def _see(backend: Backend) -> None:
    """See that a file is there: to connect to it would make it. Raise `StoreError`."""
    if isinstance(backend, Readable):
        async with _started(backend.reader()):
            pass


@asynccontextmanager
async def _started(store: Store) -> AsyncGenerator[Store]:
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def _connect(backend: Backend) -> Store:
    name = _own_name()
    return backend.connect(group=name, pid=name)


def _own_name() -> str:
    """Return the name of a group with one member: it is offered no task, and no other's message comes to it."""
    return f"resonate-cli-{secrets.token_hex(4)}"


def _clock(backend: Backend) -> Clock:
    clock: Clock = getattr(backend, "clock")  # noqa: B009 - all that a URL can name keep time
    return clock
