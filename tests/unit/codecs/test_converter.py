"""A user's cattrs converter teaches the codec new classes, and law 1 holds for its hooks too."""

import attrs
import pytest
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from resonate.adapters.codecs.json import JsonCodec
from resonate.errors import DecodingError, EncodingError
from tests.unit.codecs.samples import label


class Money:
    def __init__(self, cents):
        self.cents = cents

    def __eq__(self, other):
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self):
        return hash(self.cents)


class Handle:
    """Has no equality of its own."""

    def __init__(self, number):
        self.number = number


@attrs.frozen
class Price:
    money: Money
    net: bool = True


def knowing(unstructure=lambda money: money.cents, structure=lambda cents, _: Money(cents)):
    converter = Converter()
    converter.register_unstructure_hook(Money, unstructure)
    converter.register_structure_hook(Money, structure)
    return JsonCodec(converter)


def test_an_unknown_class_is_refused_with_the_cure():
    with pytest.raises(EncodingError, match="cattrs converter"):
        JsonCodec().encode(Money(3), Money)
    with pytest.raises(EncodingError, match="cattrs converter"):
        JsonCodec(Converter()).encode(Price(Money(3)), Price)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Money, Money(3)),
        (Price, Price(Money(3))),
        (dict[str, Money], {"a": Money(3)}),
        (Money | None, Money(3)),
        (Money | None, None),
        (Money | str, Money(3)),
        (Money | int, 3),
        (set[Money], {Money(1), Money(2)}),
        (dict[Money, int], {Money(1): 2}),
    ],
    ids=label,
)
def test_hooks_serve_wherever_the_class_stands(type_, value):
    codec = knowing()
    assert codec.decode(codec.encode(value, type_), type_) == value


def test_hooks_for_a_class_go_before_the_codecs_own_way():
    converter = Converter()
    rename = override(rename="n")
    converter.register_unstructure_hook(Box, make_dict_unstructure_fn(Box, converter, number=rename))
    converter.register_structure_hook(Box, make_dict_structure_fn(Box, converter, number=rename))
    codec = JsonCodec(converter)
    assert codec.decode(codec.encode(Box(3), Box)) == {"n": 3}
    assert codec.decode(codec.encode([Box(3)], list[Box]), list[Box]) == [Box(3)]


@attrs.frozen
class Box:
    number: int


def test_hooks_found_by_a_predicate_serve_for_unknown_classes():
    converter = Converter()
    converter.register_unstructure_hook_func(lambda cls: cls is Handle, lambda handle: handle.number)
    converter.register_structure_hook_func(lambda cls: cls is Handle, lambda number, _: Handle(number))
    codec = JsonCodec(converter)
    assert codec.decode(codec.encode(Handle(3), Handle), Handle).number == 3


def test_hooks_that_lose_something_are_refused():
    with pytest.raises(EncodingError, match="does not come back equal"):
        knowing(structure=lambda cents, _: Money(cents + 1)).encode(Money(3), Money)


def test_hooks_must_write_plain_json():
    with pytest.raises(EncodingError, match="tuple"):
        knowing(unstructure=lambda money: (money.cents,)).encode(Money(3), Money)


def test_hooks_that_raise_are_codec_errors():
    def no(*_):
        raise RuntimeError("no")

    with pytest.raises(EncodingError, match="can't write Money: no"):
        knowing(unstructure=no).encode(Money(3), Money)
    stored = knowing().encode({"a": Money(3)}, dict[str, Money])
    with pytest.raises(DecodingError, match="can't read Money: no") as caught:
        knowing(structure=no).decode(stored, dict[str, Money])
    assert caught.value.path == "a"
