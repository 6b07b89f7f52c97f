"""Types without parts: numbers, texts, times, ids, enums, literals."""

from __future__ import annotations

import binascii
import ipaddress
import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum, Flag
from fractions import Fraction
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from resonate.adapters.codecs.plan import NULL, SIXTY_FOUR_BITS, Find, Misfit, Plan, wrong
from resonate.adapters.codecs.text import SENTINELS, sentinel

# ---------------------------------------------------------------- JSON's own


def _dump_none(value: Any) -> None:
    if value is not None:
        raise wrong(value, "None")


def _dump_bool(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise wrong(value, "bool")


def _dump_int(value: Any) -> int:
    if type(value) is int or type(value) is bool:
        return value
    if isinstance(value, int):  # an IntEnum, say: declared as int, comes back as int
        return int(value)
    raise wrong(value, "int")


def _load_int(value: Any) -> int:
    if type(value) is int or type(value) is bool:
        return value
    raise wrong(value, "int")


def _dump_float(value: Any) -> float | str:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else sentinel(value)
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            if float(value) == value:
                return float(value)
        except OverflowError:
            pass
        raise Misfit("an int that no float equals where float is declared", hint="Declare it as int.")
    raise wrong(value, "float")


def _load_float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if type(value) is str and value in SENTINELS:
        return SENTINELS[value]
    raise wrong(value, "float")


def _dump_str(value: Any) -> str:
    if type(value) is str:
        return value
    if isinstance(value, str):  # a StrEnum, say: declared as str, comes back as str
        return str.__str__(value)
    raise wrong(value, "str")


def _load_str(value: Any) -> str:
    if type(value) is str:
        return value
    raise wrong(value, "str")


def _native(cls: type, name: str, dump: Callable[[Any], Any], load: Callable[[Any], Any], *reads: type) -> Plan:
    return Plan(
        name=name,
        dump=dump,
        load=load,
        writes=frozenset({cls}),
        reads=frozenset(reads),
        exact=frozenset({cls}),
        own=cls,
        bare=frozenset({cls}),
        native=True,
    )


# ---------------------------------------------------------------- written as text


def text_plan(cls: type[Any], dump: Callable[[Any], str], load: Callable[[str], Any], *reads: type) -> Plan:
    """Return the plan of a class whose values are written as text that reads back equal.

    Law 1 is kept by reading each text back, so that no odd subclass or time zone slips through.
    """
    name = cls.__name__

    def checked_dump(value: Any) -> str:
        if not isinstance(value, cls) or (cls is date and isinstance(value, datetime)):
            raise wrong(value, name)
        text = dump(value)
        if not _reads_back(load, text, value):
            raise Misfit(f"this {name} would not come back equal from {text!r}")
        return text

    def checked_load(value: Any) -> Any:
        if type(value) is not str and type(value) not in reads:
            raise wrong(value, name)
        try:
            return load(value)
        except (ValueError, InvalidOperation, OverflowError, ZeroDivisionError, OSError, KeyError) as error:
            shown = value if len(str(value)) <= _SHOWN else f"{str(value)[:_SHOWN]}..."
            raise Misfit(f"{shown!r} is not a {name}") from error

    return Plan(
        name=name,
        dump=checked_dump,
        load=checked_load,
        writes=frozenset({str}),
        reads=frozenset(reads),
        exact=frozenset({cls}),
    )


def _reads_back(load: Callable[[str], Any], text: str, value: Any) -> bool:
    try:
        back = load(text)
        return bool(back == value) or (value != value and back != back)  # noqa: PLR0124 - a NaN differs from itself
    except Exception:  # noqa: BLE001 - odd subclasses raise what they like
        return False


_SHOWN: Final = 60
_ZONED: Final = re.compile(r"(?P<wall>[^\[\]]+)\[(?P<zone>[A-Za-z0-9_+\-/]+)\]")


def _dump_datetime(value: datetime) -> str:
    """Write ISO 8601, with the zone's name behind it (RFC 9557) where it has one: its rules matter to arithmetic."""
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key and zone.key != "UTC":
        return f"{value.isoformat()}[{zone.key}]"
    return value.isoformat()


def _load_datetime(text: str) -> datetime:
    if not text.endswith("]"):
        return datetime.fromisoformat(text)
    found = _ZONED.fullmatch(text)
    if found is None:
        raise ValueError(text)
    fixed = datetime.fromisoformat(found["wall"])
    if fixed.tzinfo is None:
        raise ValueError(text)
    wall = fixed.replace(tzinfo=ZoneInfo(found["zone"]))
    for fold in (0, 1):
        candidate = wall.replace(fold=fold)
        if candidate.utcoffset() == fixed.utcoffset():
            return candidate
    return fixed.astimezone(wall.tzinfo)  # the zone's rules have changed since; the instant is what counts


_DURATION: Final = re.compile(
    r"(?P<sign>[+-]?)P(?:(?P<weeks>\d{1,9})W)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?:(?P<hours>\d{1,15})H)?(?:(?P<minutes>\d{1,15})M)?(?:(?P<seconds>\d{1,15})(?:\.(?P<fraction>\d{1,6}))?S)?)?"
)


def _dump_timedelta(value: timedelta) -> str:
    """Write an ISO 8601 duration, exact to the microsecond: `P1DT3600.5S`."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    return f"{sign}P{value.days}DT{value.seconds}{fraction}S"


def _load_timedelta(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None or not any(found[part] for part in ("weeks", "days", "hours", "minutes", "seconds")):
        raise ValueError(text)
    whole = {part: int(found[part] or 0) for part in ("weeks", "days", "hours", "minutes", "seconds")}
    value = timedelta(**whole, microseconds=int((found["fraction"] or "").ljust(6, "0")))
    return -value if found["sign"] == "-" else value


def _dump_time(value: time) -> str:
    """Write ISO 8601, with the zone's name behind it where it has one. Most zones have no offset without a date."""
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key and zone.key != "UTC":
        return f"{value.isoformat()}[{zone.key}]"
    if zone is not None and value.utcoffset() is None:  # it would equal one without a zone
        raise Misfit("a time in a zone that has no name", hint="Use a ZoneInfo of the time zone database, or timezone.")
    return value.isoformat()


def _load_time(text: str) -> time:
    if not text.endswith("]"):
        return time.fromisoformat(text)
    found = _ZONED.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return time.fromisoformat(found["wall"]).replace(tzinfo=ZoneInfo(found["zone"]))


_FRACTION: Final = re.compile(r"[+-]?\d+(?:/\d+|\.\d+)?")
"""No exponent: a few characters of it stand for a number that fills the memory."""


def _load_fraction(given: str | int) -> Fraction:
    if isinstance(given, str) and _FRACTION.fullmatch(given) is None:
        raise ValueError(given)
    return Fraction(given)


def _dump_bytes(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def _load_bytes(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


def _load_bytearray(text: str) -> bytearray:
    return bytearray(_load_bytes(text))


def _texts() -> Iterable[Plan]:
    yield text_plan(datetime, _dump_datetime, _load_datetime)
    yield text_plan(date, date.isoformat, date.fromisoformat)
    yield text_plan(time, _dump_time, _load_time)
    yield text_plan(timedelta, _dump_timedelta, _load_timedelta)
    yield text_plan(UUID, str, UUID)
    yield text_plan(Decimal, str, Decimal, int)
    yield text_plan(Fraction, str, _load_fraction, int)
    yield text_plan(bytes, _dump_bytes, _load_bytes)
    yield text_plan(bytearray, _dump_bytes, _load_bytearray)
    yield text_plan(ZoneInfo, str, ZoneInfo)
    for path in (Path, PurePath, PosixPath, PurePosixPath, PureWindowsPath):
        yield text_plan(path, str, path)
    for address in (ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network):
        yield text_plan(address, str, address)
    for interface in (ipaddress.IPv4Interface, ipaddress.IPv6Interface):
        yield text_plan(interface, str, interface)


def _leaves() -> dict[Any, Plan]:
    plans: dict[Any, Plan] = {next(iter(plan.exact)): plan for plan in _texts()}
    plans[None] = plans[NULL] = _native(NULL, "None", _dump_none, _dump_none)
    plans[bool] = _native(bool, "bool", _dump_bool, _dump_bool)
    plans[int] = _native(int, "int", _dump_int, _load_int, bool)
    plans[float] = _native(float, "float", _dump_float, _load_float, int, str)
    plans[str] = _native(str, "str", _dump_str, _load_str)
    return plans


LEAVES: Final = _leaves()

# ---------------------------------------------------------------- one of a few


def enum_plan(cls: type[Enum], name: str) -> Plan:
    """Return the plan of an enum: by value where all values are plain JSON scalars, else by name."""
    values = [member.value for member in cls]
    if issubclass(cls, Flag):
        return _flag_plan(cls, name)
    if all(_is_scalar(value) for value in values):
        pairs = [(member, member.value) for member in cls]
    else:
        pairs = [(member, member.name) for member in cls]
    return _one_of(name, pairs, exact=frozenset({cls}))


def literal_plan(values: tuple[Any, ...], find: Find) -> Plan:
    """Return the plan of a `Literal`; its bytes and enum members are written as their own types are."""
    pairs = [(value, find(type(value)).dump(value)) for value in values]
    return _one_of(f"Literal[{', '.join(map(repr, values))}]", pairs, exact=frozenset())


def _is_scalar(value: Any) -> bool:
    return type(value) in {NULL, bool, str} or (type(value) is int and value in SIXTY_FOUR_BITS)


def _one_of(name: str, pairs: list[tuple[Any, Any]], exact: frozenset[type]) -> Plan:
    dumps: dict[tuple[type, Any], Any] = {(type(value), value): written for value, written in pairs}
    loads: dict[tuple[type, Any], Any] = {(type(written), written): value for value, written in pairs}
    if len(dumps) != len(loads) or not all(_is_scalar(written) for _, written in pairs):
        raise Misfit(f"two values of {name} are written alike")
    choices = ", ".join(repr(written) for _, written in pairs[:10])

    def dump(value: Any) -> Any:
        try:
            return dumps[type(value), value]
        except (KeyError, TypeError):
            raise wrong(value, name) from None

    def load(value: Any) -> Any:
        try:
            return loads[type(value), value]
        except KeyError:
            raise Misfit(f"{value!r:.60} where {name} is declared", hint=f"It knows {choices}.") from None
        except TypeError:
            raise wrong(value, name) from None

    writes: set[type] = {type(written) for _, written in pairs}
    return Plan(name=name, dump=dump, load=load, writes=frozenset(writes), exact=exact)


def _flag_plan(cls: type[Flag], name: str) -> Plan:
    def dump(value: Any) -> int:
        if type(value) is not cls:
            raise wrong(value, name)
        return int(value.value)

    def load(value: Any) -> Flag:
        if type(value) is not int:
            raise wrong(value, name)
        try:
            flag = cls(value)
        except ValueError as error:
            raise Misfit(f"{value} is not a combination of {name}") from error
        if flag.value != value:  # the first releases of Python 3.11 drop a bit that they don't know
            raise Misfit(f"{value} is not a combination of {name}")
        return flag

    return Plan(name=name, dump=dump, load=load, writes=frozenset({int}), exact=frozenset({cls}))
