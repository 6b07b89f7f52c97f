"""What a program loads: no more than it uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

import resonate

HEAVY = ("aiohttp", "croniter", "httptools", "httpx", "opentelemetry", "sqlite3")


def loaded_by(program: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after `program`."""
    script = f"{program}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("program", "allowed"),
    [
        ("import resonate", set()),
        ("from resonate import Context, Resonate", set()),
        ("from resonate import Resonate; Resonate()", set()),
        ("from resonate import Resonate; Resonate('sqlite:///never-opened.db')", {"sqlite3"}),
        ("from resonate import Resonate; Resonate('http://localhost:1')", {"httpx", "httptools"}),
    ],
)
def test_a_library_is_loaded_once_it_is_used(program: str, allowed: set[str]) -> None:
    assert loaded_by(program).intersection(HEAVY) == allowed


def test_the_front_alone_loads_nothing_of_the_library() -> None:
    assert {name for name in loaded_by("import resonate") if name.startswith("resonate.")} == set()


def test_every_public_name_is_found_and_listed() -> None:
    script = (
        "import resonate\n"
        "assert set(resonate.__all__) <= set(dir(resonate))\n"
        "for name in resonate.__all__: getattr(resonate, name)\n"
        "from resonate import *\n"
        "assert resonate.errors.UsageError is UsageError"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_star_gives_classes_and_hides_no_module_of_the_program() -> None:
    script = (
        "from inspect import isclass\n"
        "from resonate import *\n"
        "given = {name: found for name, found in globals().items() if name != 'isclass' and name[0] != '_'}\n"
        "assert all(map(isclass, given.values())), given\n"
        "import resonate\n"
        "from resonate import trace\n"
        "assert {'trace', 'errors', 'sync'} <= set(dir(resonate)) and trace.__name__ == 'resonate.core.trace'"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_table_of_homes_and_the_list_of_names_agree() -> None:
    assert sorted(resonate._HOME_OF) == sorted(resonate.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Resonat'"):
        _ = resonate.Resonat
