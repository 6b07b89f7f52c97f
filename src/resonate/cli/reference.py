"""The commands as the documentation lists them: rendered from the code, so that the page can't tell another story."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from resonate.cli.app import app
from resonate.cli.door import COMMON, Exit
from resonate.core.insight.causes import MEANINGS


def commands() -> str:
    """Return all commands with their arguments and options, as Markdown."""
    return "\n".join(_group(get_command(app), "resonate"))


def common_options() -> str:
    """Return the options that every command has, as a Markdown table."""
    shown = next(one for one in _leaves(get_command(app), "resonate"))[1]
    rows = [_option_row(param) for param in shown.params if param.name in COMMON]
    return "\n".join(["| option | is | variable |", "|---|---|---|", *rows])


def exit_codes() -> str:
    """Return the exit codes, as a Markdown table."""
    return "\n".join(["| code | says |", "|---|---|", *(f"| {code.value} | {code.meaning} |" for code in Exit)])


def causes() -> str:
    """Return the causes that `why` tells, the worst first, as a Markdown table."""
    rows = [f"| `{kind.value}` | {meaning} |" for kind, meaning in MEANINGS.items()]
    return "\n".join(["| kind | says |", "|---|---|", *rows])


def _group(group: Any, path: str) -> Iterator[str]:
    for name, command in _leaves(group, path):
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        options = [param for param in command.params if param.param_type_name == "option" and param.name not in COMMON]
        called = " ".join([name, *(_argument(param) for param in arguments)])
        yield from (f"### `{called}`", "", str(command.help).replace("\n", " "), "")
        if options:
            yield from ("| option | is |", "|---|---|", *(_row(param) for param in options), "")


def _leaves(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _argument(param: Any) -> str:
    name = param.name.upper()
    return name if param.required else f"[{name}]"


def _row(param: Any) -> str:
    return f"| {_names(param)} | {_help(param)} |"


def _option_row(param: Any) -> str:
    variable = f"`{param.envvar}`" if isinstance(param.envvar, str) else ""
    return f"| {_names(param)} | {_help(param)} | {variable} |"


def _names(param: Any) -> str:
    return ", ".join(f"`{name}`" for name in sorted(param.opts, key=len, reverse=True))


def _help(param: Any) -> str:
    default = param.default
    known = isinstance(default, str | int) and not isinstance(default, bool)
    return f"{param.help} By default `{default}`." if known else str(param.help)
