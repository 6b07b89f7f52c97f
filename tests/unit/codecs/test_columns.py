"""Many instances of one class: written and read field by field, with the outcome of one after the other."""

import base64
from dataclasses import dataclass, field
from typing import Any

import attrs
import pytest

from resonate.adapters.codecs.json import JsonCodec
from resonate.core.protocol.records import Value
from resonate.errors import DecodingError, EncodingError

codec = JsonCodec()
MANY = 20


@dataclass
class Line:
    sku: str
    price: float
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    more: Any = None


@attrs.frozen(kw_only=True)
class Named:
    _id: int
    size: float | None = None
    rows: list[list[int]] = attrs.field(factory=list)


@attrs.define
class Tree:
    name: str
    left: "list[Tree]" = attrs.field(factory=list)
    right: "list[Tree]" = attrs.field(factory=list)


def lines():
    return [
        Line(f"b-{number}", number / 3, ["a"] * (number % 3), "x" if number % 2 else None) for number in range(MANY)
    ]


def stored(json: str) -> Value:
    return Value({}, base64.b64encode(json.encode()).decode())


def text(value: Value) -> str:
    return base64.b64decode(value.data or "").decode()


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (Line, lines()),
        (Line, [Line("a", 1), *lines(), Line("b", float("inf"), more={"a": [float("-inf")]})]),
        (Named, [Named(id=number, size=number / 2, rows=[[number], []]) for number in range(MANY)]),
        (Tree, [Tree(str(number), [Tree("x")] * number, [Tree("y", [Tree("z")])]) for number in range(MANY)]),
    ],
)
def test_many_come_back_equal_in_the_text_of_each_by_itself(type_, values):
    for declared, of in ((list[type_], values), (tuple[type_, ...], tuple(values))):
        assert codec.decode(codec.encode(of, declared), declared) == of
    alone = [text(codec.encode(value, type_)) for value in values]
    assert text(codec.encode(values, list[type_])) == f"[{','.join(alone)}]"


@pytest.mark.parametrize(
    ("wrong", "path", "says"),
    [
        ({3: {"sku": 1}}, "[3].sku", "int where str is declared"),
        ({3: {"sku": 1, "price": "x"}}, "[3].sku", "int where str is declared"),
        ({3: {"sku": 1}, 2: {"note": 7}}, "[2].note", "int where str is declared"),
        ({3: {"sku": 1}, 2: {"note": 7}, 1: {"tags": ["a", 2]}}, "[1].tags[1]", "int where str is declared"),
        ({3: {"note": 1}, 9: {"sku": 7}}, "[3].note", "int where str is declared"),
        ({0: {"price": True}}, "[0].price", "bool where float is declared"),
        ({MANY - 1: {"tags": ("a",)}}, f"[{MANY - 1}].tags", "tuple where list[str] is declared"),
        ({5: {"more": [(1,)]}}, "[5].more[0]", "tuple where no type is declared"),
    ],
)
def test_the_first_that_can_not_be_written_is_named(wrong, path, says):
    values = lines()
    for index, changes in wrong.items():
        vars(values[index]).update(changes)
    with pytest.raises(EncodingError, match="declared") as caught:
        codec.encode(values, list[Line])
    assert caught.value.path == path
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "path", "says"),
    [
        ({3: '{"sku":1,"price":1}'}, "[3].sku", "int where str is declared"),
        ({3: '{"sku":1,"price":1}', 2: '{"sku":"a","price":"b"}'}, "[2].price", "str where float is declared"),
        ({4: '{"sku":"a"}', 5: '{"sku":1,"price":1}'}, "[4].price", "nothing where Line requires a value"),
        ({4: "7", 5: '{"sku":1,"price":1}'}, "[4]", "int where Line is declared"),
        ({4: '{"sku":"a","price":1,"tags":["a",null]}'}, "[4].tags[1]", "None where str is declared"),
    ],
)
def test_the_first_that_does_not_fit_is_named(wrong, path, says):
    parts = [wrong.get(index, '{"sku":"a","price":1,"tags":[],"note":null,"more":{}}') for index in range(MANY)]
    with pytest.raises(DecodingError) as caught:
        codec.decode(stored(f"[{','.join(parts)}]"), list[Line])
    assert caught.value.path == path
    assert says in str(caught.value)


def test_what_an_older_or_newer_version_has_written_is_read():
    old = ['{"sku":"a","price":1}'] * MANY
    new = ['{"sku":"a","price":1,"tags":[],"note":null,"more":null,"colour":"red"}'] * MANY
    for parts in (old, new, [*old, *new]):
        read = codec.decode(stored(f"[{','.join(parts)}]"), list[Line])
        assert read == [Line("a", 1)] * len(parts)
        assert {type(line.price) for line in read} == {float}


def test_one_of_a_subclass_among_them_is_refused():
    class Dear(Line):
        pass

    with pytest.raises(EncodingError, match="Its own fields would be lost") as caught:
        codec.encode([*lines(), Dear("a", 1.0)], list[Line])
    assert caught.value.path == f"[{MANY}]"


def test_a_class_that_refuses_to_be_changed_says_so_with_its_place():
    @dataclass
    class Even:
        x: int

        def __setattr__(self, name, value):
            if value % 2:
                raise ValueError("odd")
            super().__setattr__(name, value)

    parts = ",".join('{"x":7}' if index == 9 else '{"x":2}' for index in range(MANY))
    with pytest.raises(DecodingError, match="Even refuses these values: odd") as caught:
        codec.decode(stored(f"[{parts}]"), list[Even])
    assert caught.value.path == "[9]"


def test_many_that_contain_themselves_are_refused_soon():
    loop = Tree("a")
    loop.left = loop.right = [loop] * MANY
    with pytest.raises(EncodingError, match="nested too deeply"):
        codec.encode([loop] * MANY, list[Tree])


def test_a_misfit_deep_inside_is_found_soon():
    value = Tree(1)
    for _ in range(60):
        value = Tree("a", [Tree("b")] * 7 + [value], [Tree("c")] * 8)
    with pytest.raises(EncodingError, match="int where str is declared") as caught:
        codec.encode([value] * MANY, list[Tree])
    assert caught.value.path == "[0]" + ".left[7]" * 60 + ".name"
