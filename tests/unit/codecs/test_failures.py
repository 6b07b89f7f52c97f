"""Failures cross as themselves where that is safe, and as `ApplicationError` where not; nothing here ever raises."""

# ruff: noqa: B904 - how exceptions are raised is what is tested

import asyncio
import base64
import binascii
import builtins
import dataclasses
import http.client
import json
import queue
import re
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tomllib
import urllib.error
import zipfile
import zlib
import zoneinfo
from decimal import Decimal
from uuid import UUID

import attrs
import pytest

from resonate import errors
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.codecs.known_errors import KnownErrors
from resonate.core.protocol.records import Value
from resonate.errors import ApplicationError, NonRetryableError, ResonateError, UsageError
from tests.unit.codecs.samples import label

codec = JsonCodec()


def trip(error, through=codec):
    return through.decode_error(through.encode_error(error))


def written(error):
    return json.loads(base64.b64decode(codec.encode_error(error).data))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        ValueError(),
        KeyError("k"),
        KeyError(("a", 1)),
        KeyError(UUID(int=1)),
        TimeoutError("late"),
        ZeroDivisionError("division by zero"),
        RuntimeError("a", 1, None, [1, {"b": 2.5}]),
        ValueError(float("inf")),
        ValueError("__INF__x", Decimal("1.5"), b"raw"),
        FileNotFoundError(2, "No such file", "/nowhere"),
        OSError(18, "Cross-device link", "/a", None, "/b"),
        ConnectionResetError(104, "reset"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        UserWarning("careful"),
    ],
    ids=label,
)
def test_standard_exceptions_come_back_as_themselves(error):
    back = trip(error)
    assert type(back) is type(error)
    assert (str(back), back.args) == (str(error), error.args)


def test_an_argument_that_cannot_be_written_leaves_the_type_and_the_text():
    class Secret:
        def __str__(self):
            return "a secret"

    back = trip(ValueError(Secret()))
    assert type(back) is ValueError
    assert str(back) == "a secret"
    assert written(ValueError(Secret()))["left_out"][0].startswith("args[0]: ")


@pytest.mark.parametrize("name", sorted(name for name in vars(errors) if isinstance(vars(errors)[name], type)))
def test_this_librarys_errors_come_back_but_for_those_that_end_an_attempt(name):
    cls = getattr(errors, name)
    if not issubclass(cls, ResonateError):
        return
    error = cls("it broke", hint="Mend it.", step="a.1")
    back = trip(error)
    if name in {"LeaseLost", "NondeterminismError", "NotReadableHere", "EngineBug"}:
        assert type(back) is ApplicationError
    else:
        assert type(back) is cls
        assert str(back) == str(error)


def test_the_attributes_of_this_librarys_errors_come_back():
    back = trip(errors.EncodingError("bad", path="a[1]", execution="x"))
    assert (back.path, back.execution) == ("a[1]", "x")
    back = trip(ApplicationError("bad", name="Foreign", details={"code": 3}))
    assert (back.name, back.details, str(back)) == ("Foreign", {"code": 3}, "Foreign: bad")


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        SystemExit(3),
        GeneratorExit(),
        StopIteration(1),
        StopAsyncIteration(),
    ],
    ids=label,
)
def test_what_would_steer_the_interpreter_does_not_come_back_as_itself(error):
    back = trip(error)
    assert type(back) is ApplicationError
    assert back.name == type(error).__name__


class OutOfStock(Exception):
    pass


class Declined(Exception):
    def __init__(self, code, reason):
        super().__init__(code, reason)
        self.code = code


class Telling(Exception):
    def __init__(self, sku):
        super().__init__(f"{sku} is out of stock")


def test_a_class_of_the_user_is_an_application_error_until_it_is_registered():
    back = trip(OutOfStock("b-12"))
    assert type(back) is ApplicationError
    assert str(back) == "OutOfStock: b-12"
    assert back.details["module"] == __name__
    assert back.details["args"] == ["b-12"]

    knowing = JsonCodec()
    assert knowing.register_error(OutOfStock) is OutOfStock
    assert type(trip(OutOfStock("b-12"), knowing)) is OutOfStock


def test_a_registered_class_is_made_of_its_arguments():
    knowing = JsonCodec()
    knowing.register_error(Declined)
    back = trip(Declined(3, "no"), knowing)
    assert (type(back), back.code) == (Declined, 3)


class Declining(Exception):
    """Takes other arguments than it keeps, and has attributes of its own."""

    def __init__(self, card, *, code):
        super().__init__(f"{card}: {code}")
        self.card, self.code = card, code


class Final(NonRetryableError):
    def __init__(self, sku):
        super().__init__(f"{sku} is gone", hint="Order another.")
        self.sku = sku


class Keyword(Exception):
    def __init__(self, *, code):
        self.code = code

    def __str__(self):
        return f"code {self.code}"


@attrs.define
class Shaped(Exception):
    code: int
    text: str = "x"


@dataclasses.dataclass
class Data(Exception):
    code: int


@pytest.mark.parametrize(
    "error",
    [Telling("b-12"), Declining("1234", code=(5, UUID(int=1))), Final("b-12"), Keyword(code=3), Shaped(3), Data(7)],
    ids=lambda each: type(each).__name__,
)
def test_a_registered_class_comes_back_as_itself_whatever_its_constructor_takes(error):
    knowing = JsonCodec()
    knowing.register_error(type(error))
    back = trip(error, knowing)
    assert type(back) is type(error)
    assert (str(back), back.args) == (str(error), error.args)
    told = {name: value for name, value in vars(back).items() if name != "__notes__"}
    assert told == vars(error)


def test_what_was_put_on_an_exception_later_comes_back():
    error = KeyError("k")
    error.sku, error.when, error.cannot = "b-12", Decimal("1.5"), object()
    back = trip(error)
    assert (type(back), back.sku, back.when) == (KeyError, "b-12", Decimal("1.5"))
    assert not hasattr(back, "cannot")
    (left_out,) = written(error)["left_out"]
    assert left_out.startswith("attributes.cannot: object: ")


def test_a_registered_class_that_can_not_be_put_together_again_is_an_application_error():
    class Lost(Exception):
        def __init__(self, card, thing):
            super().__init__(f"{card} lost {thing}")
            self.thing = thing

    knowing = JsonCodec()
    knowing.register_error(Lost)
    assert type(trip(Lost("b", "a hat"), knowing)) is Lost
    back = trip(Lost("b", object), knowing)
    assert type(back) is ApplicationError
    assert back.message == "b lost <class 'object'>"


class Gateway(Exception):
    def __init__(self, response):
        super().__init__("the gateway said no")
        self.response = response


class Slotted(Exception):
    __slots__ = ("code",)

    def __init__(self, code):
        super().__init__("no")
        self.code = code


@pytest.mark.parametrize(
    "error", [Gateway(object()), Gateway((1, {2})), Slotted(object())], ids=["object", "set", "slot"]
)
def test_no_attribute_is_made_up_for_one_that_could_not_be_written(error):
    knowing = JsonCodec()
    knowing.register_error(type(error))
    back = trip(error, knowing)
    assert type(back) is ApplicationError
    assert (back.name, back.message) == (type(error).__name__, str(error))


def test_what_stands_in_slots_comes_back():
    knowing = JsonCodec()
    knowing.register_error(Slotted)
    back = trip(Slotted(7), knowing)
    assert (type(back), back.code, str(back)) == (Slotted, 7, "no")


def test_a_registered_class_whose_text_changes_is_an_application_error():
    class Clock(Exception):
        told = 0

        def __str__(self):
            Clock.told += 1
            return f"told {Clock.told} times"

    knowing = JsonCodec()
    knowing.register_error(Clock)
    assert type(trip(Clock(), knowing)) is ApplicationError


def test_attributes_in_the_data_hide_no_method():
    data = {"__type": "error", "message": "m", "module": "builtins", "type": "ValueError", "args": ["m"]}
    data |= {
        "attributes": {"with_traceback": 1, "__class__": 2, "__dict__": 3, "add_note": 4, "not a name": 5, "ok": 6}
    }
    back = codec.decode_error(Value({}, base64.b64encode(json.dumps(data).encode()).decode()))
    assert (type(back), vars(back)) == (ValueError, {"ok": 6})
    data["attributes"] = ["no object"]
    assert type(codec.decode_error(Value({}, base64.b64encode(json.dumps(data).encode()).decode()))) is ValueError


class Many(ExceptionGroup):
    def derive(self, excs):
        return Many(self.message, excs)


class Picky(ExceptionGroup):
    def __new__(cls, message, excs):
        if any(isinstance(each, ApplicationError) for each in excs):
            raise TypeError("not these")
        return super().__new__(cls, message, excs)


def test_a_registered_group_comes_back_as_itself_if_it_takes_its_members():
    knowing = JsonCodec()
    for cls in (Many, Picky):
        assert type(trip(cls("all", [KeyError("k")]), knowing)) is ExceptionGroup
        knowing.register_error(cls)
        back = trip(cls("all", [KeyError("k")]), knowing)
        assert (type(back), back.message, str(back.exceptions[0])) == (cls, "all", "'k'")
    assert type(trip(Picky("all", [OutOfStock("b")]), knowing)) is ExceptionGroup


def library_errors():
    with pytest.raises(json.JSONDecodeError) as no_json:
        json.loads("{")
    yield no_json.value
    yield subprocess.CalledProcessError(3, ["ls", "-l"], b"out", "err")
    yield subprocess.TimeoutExpired("ls", 1.5)
    yield sqlite3.IntegrityError("UNIQUE constraint failed")
    yield socket.gaierror(-2, "Name or service not known")
    yield queue.Empty()
    yield asyncio.IncompleteReadError(b"ab", 5)
    yield asyncio.QueueFull()
    with pytest.raises(re.error) as no_pattern:
        re.compile("(")
    yield no_pattern.value
    with pytest.raises(tomllib.TOMLDecodeError) as no_toml:
        tomllib.loads("=")
    yield no_toml.value
    with pytest.raises(ArithmeticError) as no_number:
        Decimal(1) / Decimal(0)
    yield no_number.value
    yield zipfile.BadZipFile("File is not a zip file")
    yield zoneinfo.ZoneInfoNotFoundError("No time zone found with key Mars")
    yield dataclasses.FrozenInstanceError("cannot assign to field 'x'")
    yield urllib.error.URLError("no route")
    yield http.client.RemoteDisconnected("closed")
    yield binascii.Error("Incorrect padding")
    yield zlib.error("incorrect header check")
    yield struct.error("unpack requires a buffer of 4 bytes")
    yield statistics.StatisticsError("no mean")


@pytest.mark.parametrize("error", list(library_errors()), ids=lambda each: type(each).__name__)
def test_the_standard_librarys_exceptions_come_back_as_themselves(error):
    back = trip(error)
    assert (type(back), str(back)) == (type(error), str(error))
    told = {name: value for name, value in vars(back).items() if name != "__notes__"}
    if not isinstance(error, ArithmeticError):  # its arguments are classes
        assert (back.args, told) == (error.args, vars(error))


def test_a_module_of_the_library_gives_its_exceptions_and_nothing_else(monkeypatch):
    known = KnownErrors()
    assert known.find("json.decoder", "JSONDecodeError") is json.JSONDecodeError
    for module, name in (
        ("json.decoder", "JSONDecoder"),
        ("json.decoder", "nothing"),
        ("json", "JSONDecodeError"),
        ("subprocess", "Popen"),
        ("asyncio.exceptions", "CancelledError"),
        ("asyncio.exceptions", "TimeoutError"),
        ("this", "s"),
        (3, "x"),
        ("builtins", None),
    ):
        assert known.find(module, name) is None
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    assert known.find("sqlite3", "Error") is None


def test_a_registered_class_that_refuses_notes_and_causes_is_an_application_error():
    @attrs.frozen
    class Icy(Exception):
        x: int

        def add_note(self, note):
            raise RuntimeError("no notes")

    knowing = JsonCodec()
    knowing.register_error(Icy)
    error = Icy(1)
    error.__notes__ = ["a"]
    assert type(trip(error, knowing)) is ApplicationError


def test_only_exceptions_can_be_registered():
    for wrong in (int, KeyboardInterrupt, "ValueError", StopIteration, errors.EngineBug):
        with pytest.raises(UsageError):
            JsonCodec().register_error(wrong)


def test_causes_contexts_and_notes_come_along():
    try:
        try:
            raise KeyError("k")
        except KeyError as cause:
            raise ValueError("v") from cause
    except ValueError as error:
        error.add_note("in the shop")
        back = trip(error)
    assert type(back.__cause__) is KeyError
    assert back.__notes__[0] == "in the shop"
    assert "test_causes_contexts_and_notes_come_along" in back.__notes__[1]

    try:
        try:
            raise KeyError("k")
        except KeyError:
            raise ValueError("v")
    except ValueError as error:
        back = trip(error)
    assert back.__cause__ is None
    assert type(back.__context__) is KeyError


def test_the_first_traceback_survives_many_hops():
    def first_raised():
        raise ValueError("v")

    try:
        first_raised()
    except ValueError as error:
        back = error
    for _ in range(3):
        try:
            raise trip(back)
        except ValueError as error:
            back = error
    assert len(back.__notes__) == 1
    assert "first_raised" in back.__notes__[0]


def test_groups_come_back_with_their_members():
    group = ExceptionGroup("all", [ValueError(1), ExceptionGroup("inner", [KeyError("k"), OutOfStock("b")])])
    back = trip(group)
    assert type(back) is ExceptionGroup
    assert back.message == "all"
    assert [type(each) for each in back.exceptions] == [ValueError, ExceptionGroup]
    assert [type(each) for each in back.exceptions[1].exceptions] == [KeyError, ApplicationError]


def test_a_group_with_an_interrupt_is_a_group_of_failures():
    back = trip(BaseExceptionGroup("all", [KeyboardInterrupt(), ValueError(1)]))
    assert type(back) is ExceptionGroup
    assert [type(each) for each in back.exceptions] == [ApplicationError, ValueError]


def test_what_is_written_is_bounded():
    error = ValueError("x" * 1_000_000, ["y" * 1_000_000])
    error.blob, error.rows = b"y" * 1_000_000, tuple("z" * 9_000 for _ in range(100))
    for _ in range(1000):
        after = ValueError("again")
        after.__cause__ = error
        error = after
        for name in range(30):
            setattr(after, f"a{name}", "x" * 9_000)
            setattr(after, f"b{name}", object())
    error = ExceptionGroup("many", [error, *(ValueError("z" * 50_000) for _ in range(1000))])
    assert len(codec.encode_error(error).data) < 5_000_000
    assert isinstance(trip(error), ExceptionGroup)


def test_a_long_message_leaves_the_type():
    assert type(trip(ValueError("x" * 1_000_000))) is ValueError


def test_a_chain_that_bites_its_tail_ends():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert str(trip(first).__cause__) == "b"


class Rude(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Ruder(Exception):
    @property
    def args(self):
        raise RuntimeError("no args")


@pytest.mark.parametrize(
    "error", [Rude(), Ruder(), ValueError("\ud800"), ValueError({"\ud800": 1})], ids=lambda e: type(e).__name__
)
def test_odd_exceptions_are_written_all_the_same(error):
    back = trip(error)
    assert isinstance(back, Exception)


def test_every_standard_exception_can_be_written_and_read():
    for cls in vars(builtins).values():
        if isinstance(cls, type) and issubclass(cls, BaseException):
            assert isinstance(trip(cls.__new__(cls, "a", [ValueError()])), Exception)


def test_a_name_in_the_data_is_not_imported_nor_looked_up_elsewhere():
    for module, name in (
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "exit"),
        ("subprocess", "Popen"),
        (__name__, "OutOfStock"),
    ):
        data = {"__type": "error", "message": "a", "module": module, "type": name, "args": ["a"]}
        back = codec.decode_error(Value({}, base64.b64encode(json.dumps(data).encode()).decode()))
        assert type(back) is ApplicationError
