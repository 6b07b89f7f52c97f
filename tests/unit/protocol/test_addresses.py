import pytest

from resonate.core.protocol.addresses import Address, anycast, parse, preferring, unicast


def test_what_is_made_is_read_back() -> None:
    assert parse(unicast("g", "p")) == Address("g", "p")
    assert parse(anycast("g")) == Address("g", anyone=True)
    assert parse(preferring("g", "p")) == Address("g", "p", anyone=True)


def test_addresses_are_what_is_on_the_wire() -> None:
    assert unicast("g", "p") == "poll://uni@g/p"
    assert anycast("g") == "poll://any@g"
    assert preferring("g", "p") == "poll://any@g/p"


def test_a_pid_may_hold_a_slash() -> None:
    assert parse("poll://uni@g/p/q") == Address("g", "p/q")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "g",
        "http://any@g",
        "poll://g",
        "poll://@g",
        "poll://any@",
        "poll://any@/p",
        "poll://uni@g",
        "poll://uni@g/",
        "poll://bob@g/p",
        "any@g",
    ],
)
def test_anything_else_reaches_no_connection(text: str) -> None:
    assert parse(text) is None
