"""What each rule finds, and what it leaves alone; the documentation's own examples among it."""

from __future__ import annotations

import ast
import textwrap

import pytest

from resonate.check import RULES, Finding, check_source
from tests.docs.pages import ROOT, blocks

PAGES = ROOT / "docs" / "reference" / "check"

HEAD = """
from __future__ import annotations
import asyncio, contextlib, logging, os, random, subprocess, sys, threading, time, uuid
import datetime as when
from datetime import datetime as dt, timedelta
import resonate as r
from resonate import Context, Resonate
"""


def found(source: str) -> list[Finding]:
    return check_source(HEAD + textwrap.dedent(source))


def codes(source: str) -> list[str]:
    return [one.code for one in found(source)]


def in_workflow(body: str) -> list[str]:
    return codes("async def flow(ctx: Context, x: str) -> None:\n" + textwrap.indent(textwrap.dedent(body), "    "))


# ---------------------------------------------------------------- the documentation


@pytest.mark.parametrize("code", RULES)
def test_the_bad_example_has_its_code_and_the_good_one_nothing(code):
    examples = {one.info.partition(" ")[2]: one.text for one in blocks(PAGES / f"{code}.md")}
    assert {one.code for one in check_source(examples['title="bad"'])} == {code}
    assert check_source(examples['title="good"']) == []


def test_every_rule_has_a_page_and_every_page_a_rule():
    pages = {path.stem: path.read_text().splitlines()[0] for path in PAGES.glob("RSN*.md")}
    assert pages == {code: f"# {code}: {rule.name[0].lower()}{rule.name[1:]}" for code, rule in RULES.items()}


# ---------------------------------------------------------------- which functions


@pytest.mark.parametrize(
    "function",
    [
        "async def flow(ctx: Context) -> None: time.time()",
        "async def flow(anything: r.Context) -> None: time.time()",
        "async def flow(ctx: 'Context') -> None: time.time()",
        "async def flow(ctx) -> None: time.time()",
        "async def flow(context, x=1) -> None: time.time()",
        "async def flow(ctx: Context, /) -> None: time.time()",
        "def flow(ctx: Context):\n    time.time()\n    yield ctx.sleep(1)",
        "class Shop:\n    async def flow(self, ctx: Context) -> None: time.time()",
        "class Shop:\n    @staticmethod\n    async def flow(ctx: Context) -> None: time.time()",
        "def factory():\n    async def flow(ctx: Context) -> None: time.time()\n    return flow",
        "from .aliases import Context\nasync def flow(ctx: Context) -> None: time.time()",
    ],
)
def test_a_workflow_is_known_by_its_first_parameter(function):
    assert "RSN101" in codes(function)


@pytest.mark.parametrize(
    "function",
    [
        "async def step(x) -> None: time.time()",
        "def helper(ctx: Context) -> None: time.time()",
        "def step(info, ctx) -> None: time.time()",
        "from click import Context\nasync def flow(ctx: Context) -> None: time.time()",
        "from discord.ext.commands import Context as C\nasync def flow(ctx: C) -> None: time.time()",
        "async def flow(ctx: int) -> None: time.time()",
        "async def stream(ctx: Context):\n    yield time.time()",
        "async def flow() -> None: time.time()",
        "async def flow(*, ctx) -> None: time.time()",
    ],
)
def test_what_is_no_workflow_is_left_alone(function):
    assert codes(function) == []


def test_a_name_alone_makes_no_workflow_in_a_module_that_knows_nothing_of_resonate():
    bot = "import time\nasync def ping(ctx): time.time()\n"
    assert check_source(bot) == []
    assert [one.code for one in check_source("import resonate\n" + bot)] == ["RSN114", "RSN101"]
    assert [one.code for one in check_source(bot.replace("async", "@app.register\nasync"))] == ["RSN114", "RSN101"]


# ---------------------------------------------------------------- what is followed


def test_a_helper_that_is_called_is_looked_at_once_and_names_its_caller():
    source = """
    def now() -> float:
        return time.time()

    async def later() -> float:
        return now()

    async def flow(ctx: Context) -> float:
        return now() + await later() + now()

    async def other(ctx: Context) -> float:
        return now()
    """
    (only,) = found(source)
    assert (only.code, only.workflow) == ("RSN101", "flow")
    assert "the workflow flow calls now" in only.text


def test_a_step_is_left_alone_and_its_arguments_are_not():
    source = """
    def step(x: float) -> float:
        return time.time()

    async def flow(ctx: Context) -> float:
        await ctx.run(step, 1)
        await ctx.run(lambda: time.time())
        await ctx.options(timeout=1).run(step, x=1)
        return await ctx.run(step, random.random())
    """
    assert codes(source) == ["RSN102"]


def test_a_method_that_is_called_on_self_is_looked_at():
    source = """
    class Shop:
        def now(self) -> float:
            return time.time()

        async def flow(self, ctx: Context) -> float:
            return self.now()
    """
    assert codes(source) == ["RSN101"]


def test_helpers_that_call_each_other_do_not_go_round_for_ever():
    source = """
    def ping() -> None: pong()
    def pong() -> None: ping()
    async def flow(ctx: Context) -> None: ping()
    """
    assert codes(source) == []


def test_a_function_that_is_only_defined_inside_is_left_alone_until_it_is_called():
    source = """
    async def flow(ctx: Context) -> None:
        def step() -> float:
            return time.time()
        await ctx.run(step)
    """
    assert codes(source) == []
    assert codes(source.replace("await ctx.run(step)", "step()")) == ["RSN101"]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "call",
    ["time.time()", "when.datetime.now()", "dt.now(when.timezone.utc)", "dt.utcnow()", "when.date.today()",
     "time.perf_counter()", "time.localtime()", "sorted([1], key=lambda _: time.time())"],
)  # fmt: skip
def test_clocks(call):
    assert in_workflow(call) == ["RSN101"]


@pytest.mark.parametrize(
    "call", ["time.strftime('%Y', t)", "dt(2025, 1, 1)", "time.localtime(0)", "dt.fromtimestamp(0)"]
)
def test_times_that_are_given_are_no_clock(call):
    assert in_workflow(call) == []


@pytest.mark.parametrize("call", ["random.random()", "uuid.uuid4()", "os.urandom(8)", "random.Random()"])
def test_dice(call):
    assert in_workflow(call) == ["RSN102"]


def test_what_is_seeded_in_the_run_is_the_same_each_time_and_what_is_shared_is_not():
    assert in_workflow("rng = random.Random(7)\nrng.random()") == []
    assert in_workflow("uuid.uuid5(uuid.NAMESPACE_URL, x)\nctx.random.random()\nctx.uuid4()") == []
    shared = "rng = random.Random(7)\nasync def flow(ctx: Context) -> float:\n    return rng.random()"
    assert codes(shared) == ["RSN102"]


@pytest.mark.parametrize(
    "body",
    ["open(x)", "os.remove(x)", "os.path.exists(x)", "import httpx\nhttpx.get(x)", "import requests as q\nq.post(x)",
     "import sqlite3\nsqlite3.connect(x)", "from pathlib import Path\nPath(x).write_text(x)", "input()",
     "try:\n    pass\nfinally:\n    os.remove(x)", "import boto3\nboto3.client('s3')"],
)  # fmt: skip
def test_io(body):
    assert in_workflow(body) == ["RSN103"]


@pytest.mark.parametrize(
    "body",
    ["os.path.join(x, x)", "open = ctx.get_dependency('open')\nopen(x)", "x.open()", "import httpx\nhttpx.Timeout(5)",
     "import requests\nraise requests.HTTPError(x)", "os.fspath(x)"],
)  # fmt: skip
def test_what_only_sounds_like_io(body):
    assert in_workflow(body) == []


def test_a_client_that_was_made_outside_is_known_by_what_made_it():
    source = "import httpx\nhttp = httpx.Client()\nasync def flow(ctx: Context) -> None:\n    http.get('/')"
    assert codes(source) == ["RSN103"]
    several = (
        "import httpx\nhttp = httpx.Client()\nhttp = None\nasync def flow(ctx: Context) -> None:\n    http.get('/')"
    )
    assert codes(several) == []


@pytest.mark.parametrize(
    "call", ["print(x)", "logging.info(x)", "logging.getLogger('a').info(x)", "sys.stdout.write(x)"]
)
def test_output(call):
    assert in_workflow(call) == ["RSN104"]


def test_a_logger_of_the_module_and_one_of_the_context():
    logger = "log = logging.getLogger(__name__)\nasync def flow(ctx: Context) -> None:\n    {}.info('x')"
    assert codes(logger.format("log")) == ["RSN104"]
    assert codes(logger.format("ctx.logger")) == []
    assert in_workflow("log = logging.getLogger('a')\nlog.info(x)") == ["RSN104"]


def test_sleeps():
    assert in_workflow("time.sleep(1)") == ["RSN105"]
    assert in_workflow("await asyncio.sleep(1)\nawait ctx.sleep(1)") == []


@pytest.mark.parametrize(
    "call",
    ["await asyncio.to_thread(x)", "threading.Thread(target=x)", "subprocess.run(x)", "os.system(x)", "sys.exit()",
     "await asyncio.get_running_loop().run_in_executor(None, x)", "asyncio.run(x)"],
)  # fmt: skip
def test_ways_out_of_the_loop(call):
    assert in_workflow(call) == ["RSN106"]


def test_the_loops_own_constructs_are_fine():
    body = """
    async with asyncio.TaskGroup() as group, asyncio.timeout(5):
        group.create_task(asyncio.sleep(1))
    await asyncio.gather(ctx.sleep(1), asyncio.wait_for(asyncio.Event().wait(), 1))
    queue = asyncio.Queue()
    await queue.put(asyncio.get_running_loop().time())
    """
    assert in_workflow(body) == []


@pytest.mark.parametrize(
    "body", ["os.environ['A']", "os.environ.get('A')", "os.getenv('A')", "sys.argv[0]", "os.getpid()"]
)
def test_what_the_process_says(body):
    assert in_workflow(body) == ["RSN107"]


def test_builtins_that_depend_on_the_process():
    assert in_workflow("id(x)") == ["RSN109"]
    assert in_workflow("hash(x)") == ["RSN109"]
    assert codes("async def flow(ctx: Context, id: str, hash: str) -> None:\n    hash(id)") == []


# ---------------------------------------------------------------- sets


@pytest.mark.parametrize(
    "body",
    [
        "for one in {x, 'b'}:\n    pass",
        "for one in set(x):\n    pass",
        "[one for one in set(x)]",
        "{one: 1 for one in set(x)}",
        "names = set(x)\nfor one in names:\n    pass",
        "names: set[str] = ctx.get_dependency('n')\nlist(names)",
        "names = {y for y in x}\ntuple(names - {'a'})",
        "', '.join(frozenset(x))",
        "a, b = {x, 'y'}",
        "print_ = set(x).pop()",
        "await asyncio.gather(*set(x))",
        "for one in x.keys() & {'a'}:\n    pass",
        "for i, one in enumerate(set(x).union('a')):\n    pass",
    ],
)
def test_the_order_of_a_set(body):
    assert in_workflow(body) == ["RSN108"]


@pytest.mark.parametrize(
    "body",
    [
        "for one in sorted(set(x)):\n    pass",
        "sum(one for one in set(x))\nlen(set(x))\nany(one for one in set(x))\nx in {'a', 'b'}",
        "{one for one in set(x)}",
        "for one in {1, 2, 3}:\n    pass",
        "for one in set(range(9)):\n    pass",
        "for one in dict(x):\n    pass",
        "for one in x.keys():\n    pass",
        "done, _ = await asyncio.wait([ctx.sleep(1)])\nfor one in done:\n    await one",
        "tasks = {asyncio.create_task(ctx.sleep(1)) for _ in x}\nfor one in tasks:\n    await one",
        "tasks = set()\ntasks.add(asyncio.create_task(ctx.sleep(1)))\nawait asyncio.gather(*tasks)",
        "numbers: set[int] = set()\nfor one in numbers:\n    pass",
        "x.pop()",
        "bits = 3 | 4\nrange(bits - 1)",
    ],
)
def test_sets_whose_order_is_known_or_not_seen(body):
    assert in_workflow(body) == []


def test_a_parameter_that_is_a_set():
    assert codes("async def flow(ctx: Context, names: set[str]) -> None:\n    list(names)") == ["RSN108"]
    assert codes("async def flow(ctx: Context, names: frozenset[int]) -> None:\n    list(names)") == []


# ---------------------------------------------------------------- state outside


@pytest.mark.parametrize(
    "body",
    ["kept.append(x)", "kept += [x]", "table['a'] = x", "del table['a']", "table.update(a=x)", "os.path.sep = x",
     "global count\n    count = 1", "global count\n    count += 1", "(table['a'], y) = x, x"],
)  # fmt: skip
def test_globals_that_are_changed(body):
    head = "kept = []\ntable: dict[str, str] = dict()\ncount = 0\n"
    source = f"{head}async def flow(ctx: Context, x: str) -> None:\n    {body}"
    assert codes(source) == (["RSN110"] if body != "kept += [x]" else [])  # a local, and an error of its own


@pytest.mark.parametrize(
    "body",
    ["kept = []\n    kept.append(x)", "print_ = table['a']", "table.get('a')", "other.append(x)",
     "def inner():\n        nonlocal x\n        x = 'b'\n    inner()"],
)  # fmt: skip
def test_what_is_the_runs_own_may_be_changed(body):
    source = f"kept = []\ntable = {{}}\nasync def flow(ctx: Context, x: str, other: list) -> None:\n    {body}"
    assert codes(source) == []


def test_variables_around_a_workflow_and_attributes_of_its_object():
    around = """
    def factory():
        runs = []
        async def flow(ctx: Context) -> None:
            runs.append(1)
        return flow
    """
    assert codes(around) == ["RSN110"]
    method = """
    class Shop:
        async def flow(self, ctx: Context) -> None:
            self.runs += 1
            self.seen.append(1)
    """
    assert codes(method) == ["RSN110", "RSN110"]


def test_a_helper_may_change_what_it_made_itself():
    source = """
    def helper() -> list:
        made = []
        made.append(1)
        return made
    async def flow(ctx: Context) -> None:
        helper()
    """
    assert codes(source) == []


# ---------------------------------------------------------------- calls, errors, clients, types


@pytest.mark.parametrize(
    "body",
    ["ctx.run(x)", "ctx.rpc(x)", "ctx.sleep(1)", "ctx.promise()", "ctx.options(timeout=1).run(x)", "ctx.begin_run(x)",
     "quick = ctx.options(timeout=1)\nquick.run(x)", "ctx.lfi(x)", "ctx.race(x)"],
)  # fmt: skip
def test_durable_calls_that_are_dropped(body):
    assert in_workflow(body) == ["RSN111"]


@pytest.mark.parametrize(
    "body", ["await ctx.run(x)", "_ = ctx.run(x)", "ctx.detached(x)", "y = ctx.run(x)\nawait y", "ctx.logger.info(x)"]
)
def test_durable_calls_that_are_not(body):
    assert in_workflow(body) == []


def test_a_generator_workflow_yields_its_calls():
    source = "def flow(ctx: Context) -> object:\n    {}\n    v = yield ctx.run(len, 'a')\n    return v"
    assert codes(source.format("yield ctx.sleep(1)")) == []
    assert codes(source.format("ctx.sleep(1)")) == ["RSN111"]


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("except:\n    pass", ["RSN112"]),
        ("except BaseException as e:\n    x = e", ["RSN112"]),
        ("except (ValueError, BaseException):\n    pass", ["RSN112"]),
        ("except BaseException:\n    x = 1\n    raise", []),
        ("except Exception:\n    pass", []),
        ("except asyncio.CancelledError:\n    pass", []),
    ],
)
def test_what_swallows_a_cancellation(handler, expected):
    assert in_workflow(f"try:\n    await ctx.sleep(1)\n{handler}") == expected


def test_what_swallows_nothing_that_is_waited_for_is_left_alone():
    assert in_workflow("try:\n    int(x)\nexcept:\n    pass") == []
    assert in_workflow("with contextlib.suppress(BaseException):\n    await ctx.sleep(1)") == ["RSN112"]


def test_a_client_in_a_workflow():
    source = "app = Resonate()\nasync def flow(ctx: Context) -> None:\n    await app.{}\n"
    for call in ("run('a', len)", "options(timeout=1).rpc('a', len)", "promises.resolve('a')", "get('a').result()"):
        assert set(codes(source.format(call))) == {"RSN113"}
    assert codes("app = Resonate()\ndef step() -> None:\n    app.run('a', len)\n") == []


def test_singledispatch_registers_no_steps():
    source = """
    import functools

    @functools.singledispatch
    def text(x) -> str: ...

    @text.register
    def _(x: int): ...
    """
    assert codes(source) == []
    assert check_source(textwrap.dedent(source)) == []


def test_annotations_are_asked_of_workflows_steps_and_registered_functions():
    source = """
    app = Resonate()

    def step(x: int): ...

    def elsewhere(x: int): ...

    @app.register
    def registered(x: int): ...

    async def flow(ctx: Context):
        await ctx.run(step, 1)
        await ctx.run(step, 2)
    """
    assert [(one.code, one.text.split()[2]) for one in found(source)] == [
        ("RSN114", "step"),
        ("RSN114", "registered"),
        ("RSN114", "flow"),
    ]


# ---------------------------------------------------------------- comments, and all Python there is


@pytest.mark.parametrize(
    ("comment", "silent"),
    [
        ("# noqa", True),
        ("# noqa: RSN101", True),
        ("# NOQA: E501,RSN101", True),
        ("# noqa: E501 RSN101 - a reason", True),
        ("# noqa: RSN102", False),
        ("# type: ignore  # noqa: RSN101", True),
        ("# a comment", False),
    ],
)
def test_comments_silence(comment, silent):
    assert in_workflow(f"time.time()  {comment}") == ([] if silent else ["RSN101"])


def test_a_comment_may_stand_where_a_call_of_many_lines_ends():
    assert in_workflow("time.sleep(\n    1,\n)  # noqa: RSN105") == []


def test_every_file_of_the_standard_librarys_asyncio_can_be_read():
    import asyncio
    from pathlib import Path

    for path in sorted(Path(asyncio.__file__).parent.glob("*.py")):
        assert check_source(path.read_text(), str(path)) == []


def test_what_is_no_python_is_refused():
    with pytest.raises(SyntaxError):
        check_source("def (:")
    assert ast.parse("x = 1")
