"""Every python block of README.md and docs/ runs, top to bottom, one namespace per page.

A block may await at its top level. One that can't run here says why: ```python {no-run="needs a server"}.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import sys
from types import ModuleType

import pytest

from tests.docs.pages import ROOT, Block, blocks, pages


def python_blocks(path) -> list[Block]:
    return [block for block in blocks(path) if block.language == "python"]


def page_id(path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(autouse=True)
def loggers_as_before(caplog, monkeypatch):
    """A page may quiet a logger, or filter it; the tests that run after it hear it again."""
    for name in ("resonate", "resonate.worker", "resonate.lease"):
        logger = logging.getLogger(name)
        caplog.set_level(logger.level, logger=name)
        monkeypatch.setattr(logger, "filters", list(logger.filters))


async def run_blocks(page: list[Block], module: ModuleType) -> None:
    for block in page:
        # Empty lines in front make tracebacks and inspect.getsource point into the page itself.
        source = "\n" * (block.line - 1) + block.text
        code = compile(source, str(block.path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, module.__dict__)  # noqa: S307,RUF100 - running the page is the point
        if code.co_flags & inspect.CO_COROUTINE:
            await result


@pytest.mark.parametrize("path", [path for path in pages() if python_blocks(path)], ids=page_id)
def test_the_examples_of_a_page_run(path, tmp_path, monkeypatch):
    module = ModuleType("page_" + page_id(path).replace("/", "_").removesuffix(".md").replace("-", "_"))
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where type hints and attrs look names up
    monkeypatch.chdir(tmp_path)  # where examples leave their files
    asyncio.run(run_blocks([block for block in python_blocks(path) if not block.no_run], module))


@pytest.mark.parametrize("path", pages(), ids=page_id)
def test_a_block_that_is_not_run_says_why(path):
    assert [str(block) for block in blocks(path) if block.no_run and not block.no_run_reason] == []


@pytest.mark.parametrize("path", pages(), ids=page_id)
def test_every_block_names_its_language_and_python_is_spelt_out(path):
    assert [str(block) for block in blocks(path) if block.language in {"", "py", "python3", "Python"}] == []


@pytest.mark.parametrize("path", pages(), ids=page_id)
def test_a_block_that_is_not_run_still_parses(path):
    for block in python_blocks(path):
        compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)


def test_blocks_are_found_in_lists_and_inside_longer_fences():
    text = '1. a step\n\n    ```python {no-run="later"}\n    x = 1\n    ```\n\n````markdown\n```python\ny\n```\n````\n'
    first, second = blocks(ROOT / "README.md", text)
    assert (first.language, first.line, first.text, first.no_run_reason) == ("python", 4, "x = 1", "later")
    assert (second.language, second.text) == ("markdown", "```python\ny\n```")


def test_a_page_runs_in_one_namespace_and_awaits_at_its_top_level():
    page = list(
        blocks(
            ROOT / "README.md",
            "```python\nimport asyncio\nx = 1\n```\n\n```python\nawait asyncio.sleep(0)\ny = x + 1\n```\n",
        )
    )
    module = ModuleType("page")
    asyncio.run(run_blocks(page, module))
    assert module.y == 2


def test_an_example_that_fails_points_to_its_line():
    page = list(blocks(ROOT / "README.md", "# Title\n\n```python\nx = 1\n1 / 0\n```\n"))
    with pytest.raises(ZeroDivisionError) as caught:
        asyncio.run(run_blocks(page, ModuleType("page")))
    assert caught.traceback[-1].lineno + 1 == 5
