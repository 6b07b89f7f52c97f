"""Cron, as the deployed server reads it; instants are found by brute force for comparison."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resonate.core.protocol import cron

FRIDAY = datetime(2027, 1, 15, 8, tzinfo=UTC)


def ms(instant: datetime) -> int:
    return int(instant.timestamp()) * 1_000


def following(expression: str, after: datetime = FRIDAY) -> str | None:
    instant = cron.parse(expression).next_after(ms(after))
    return None if instant is None else f"{datetime.fromtimestamp(instant / 1_000, UTC):%a %Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", "Fri 2027-01-15 08:01:00"),
        ("0 9 * * 1", "Sun 2027-01-17 09:00:00"),
        ("0 9 * * 7", "Sat 2027-01-16 09:00:00"),
        ("0 9 * * 1-5", "Sun 2027-01-17 09:00:00"),
        ("0 9 * * MON-FRI", "Fri 2027-01-15 09:00:00"),
        ("0 9 * * mon,wed", "Mon 2027-01-18 09:00:00"),
        ("0 9 * * Sunday", "Sun 2027-01-17 09:00:00"),
        ("0 9 * * */2", "Sat 2027-01-16 09:00:00"),
        ("0 0 13 * 5", "Thu 2027-05-13 00:00:00"),
        ("0 0 13 * FRI", "Fri 2027-08-13 00:00:00"),
        ("0 0 1 JAN *", "Sat 2028-01-01 00:00:00"),
        ("0 0 1 march *", "Mon 2027-03-01 00:00:00"),
        ("0 0 29 2 MON", "Mon 2044-02-29 00:00:00"),
        ("0 0 31 * *", "Sun 2027-01-31 00:00:00"),
        ("5/20 * * * *", "Fri 2027-01-15 08:05:00"),
        ("10-30/10 * * * *", "Fri 2027-01-15 08:10:00"),
        ("0 0 ? * MON", "Mon 2027-01-18 00:00:00"),
        ("*/30 * * * * *", "Fri 2027-01-15 08:00:30"),
        ("15 30 9 * * *", "Fri 2027-01-15 09:30:15"),
        ("0 0 0 1 1 * 2080", "Mon 2080-01-01 00:00:00"),
        ("0 0 0 1 1 * 2029-2031/2", "Mon 2029-01-01 00:00:00"),
        ("0 0 0 1 1 * 2020", None),
        ("@hourly", "Fri 2027-01-15 09:00:00"),
        ("@daily", "Sat 2027-01-16 00:00:00"),
        ("@midnight", "Sat 2027-01-16 00:00:00"),
        ("@weekly", "Sun 2027-01-17 00:00:00"),
        ("@monthly", "Mon 2027-02-01 00:00:00"),
        ("@Yearly", "Sat 2028-01-01 00:00:00"),
        ("@annually", "Sat 2028-01-01 00:00:00"),
        ("  0   9 * *\t* ", "Fri 2027-01-15 09:00:00"),
    ],
)
def test_the_next_instant(expression: str, expected: str | None) -> None:
    assert following(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "* * * * * * * *",
        "0 9 * * 0",
        "0 9 * * 8",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * * * 1969",
        "5-1 * * * *",
        "0 9 * * FRI-MON",
        "*/0 * * * *",
        "1/0 * * * *",
        "? * * * *",
        "* * * * MOON",
        "H * * * *",
        "R * * * *",
        "0 0 L * *",
        "0 0 * * MON#2",
        "0 0 15W * *",
        "1,,2 * * * *",
        "-1 * * * *",
        "1.5 * * * *",
        "@reboot",
        "99999999999999999999999 * * * *",
        "0 0 \u0661 * *",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "* * * * * " + "1," * 2_000 + "1",
    ],
)
def test_what_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"cron expression"):
        cron.parse(expression)


def test_the_next_instant_is_after_and_not_at() -> None:
    every_minute = cron.parse("* * * * *")
    start = ms(FRIDAY)
    assert every_minute.next_after(start) == start + 60_000
    assert every_minute.next_after(start - 1) == start
    assert every_minute.next_after(start + 1) == start + 60_000


number = st.integers
fields = st.tuples(
    st.one_of(st.just("*"), number(0, 59).map(str), number(1, 30).map(lambda step: f"*/{step}")),
    st.one_of(
        st.just("*"), number(0, 23).map(str), st.tuples(number(0, 11), number(12, 23)).map("{0[0]}-{0[1]}".format)
    ),
    st.one_of(st.just("*"), number(1, 28).map(str), st.just("1,15")),
    st.one_of(st.just("*"), number(1, 12).map(str)),
    st.one_of(st.just("*"), number(1, 7).map(str), st.just("MON-FRI")),
)


def matches(part: str, value: int, least: int) -> bool:
    if part == "*":
        return True
    if part.startswith("*/"):
        return (value - least) % int(part[2:]) == 0
    if part == "MON-FRI":
        return 2 <= value <= 6
    if "-" in part:
        low, high = part.split("-")
        return int(low) <= value <= int(high)
    return value in {int(one) for one in part.split(",")}


@given(fields, st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  (bounds are naive by contract)
@settings(max_examples=60, deadline=None)
def test_the_next_instant_is_the_one_that_brute_force_finds(parts: tuple[str, ...], start: datetime) -> None:
    minute, hour, day, month, weekday = parts
    found = cron.parse(" ".join(parts)).next_after(int(start.timestamp() * 1_000))

    def day_matches(date: datetime) -> bool:
        return (
            matches(day, date.day, 1)
            and matches(month, date.month, 1)
            and matches(weekday, date.isoweekday() % 7 + 1, 1)
        )

    instant = start.replace(second=0, microsecond=0) + timedelta(minutes=1)
    limit = start + timedelta(days=800)
    while instant < limit:
        if not day_matches(instant):
            instant = instant.replace(hour=0, minute=0) + timedelta(days=1)
        elif not matches(hour, instant.hour, 0):
            instant = instant.replace(minute=0) + timedelta(hours=1)
        elif not matches(minute, instant.minute, 0):
            instant += timedelta(minutes=1)
        else:
            assert found == ms(instant)
            return
    assert found is None or found >= ms(limit)
