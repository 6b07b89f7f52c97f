import random

from hypothesis import given
from hypothesis import strategies as st

from resonate.adapters.memory.agenda import Agenda

KEYS = st.tuples(st.integers(0, 2), st.sampled_from("abcd"))
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(0, 20)),
        st.tuples(st.just("drop"), KEYS, st.just(0)),
        st.tuples(st.just("pop"), st.just((0, "")), st.integers(0, 20)),
    )
)


@given(MOVES)
def test_it_does_what_a_dictionary_does(moves) -> None:
    agenda, model = Agenda(), {}
    for move, key, instant in moves:
        match move:
            case "put":
                agenda.put(key, instant)
                model[key] = instant
            case "drop":
                agenda.drop(key)
                model.pop(key, None)
            case _:
                first = min(model.values(), default=None)
                popped = agenda.pop(instant)
                if first is None or first > instant:
                    assert popped is None
                else:
                    assert popped is not None
                    assert model.pop(popped) == first
        assert agenda.next() == min(model.values(), default=None)


def test_what_is_put_off_stays_one_entry() -> None:
    agenda = Agenda()
    for instant in range(10_000):
        agenda.put((0, "lease"), instant)
    assert len(agenda) == 1
    assert agenda.next() == 9_999


def test_what_is_put_earlier_does_not_pile_up() -> None:
    agenda = Agenda()
    for instant in range(10_000, 0, -1):
        agenda.put((0, "a"), instant)
    assert len(agenda) < 100
    assert agenda.pop(1) == (0, "a")
    assert agenda.next() is None


def test_what_comes_and_goes_does_not_pile_up() -> None:
    agenda, dice = Agenda(), random.Random(1)
    for number in range(20_000):
        agenda.put((0, str(number)), dice.randrange(10**6))
        agenda.drop((0, str(number)))
    assert len(agenda) < 100


def test_what_is_put_earlier_overtakes() -> None:
    agenda = Agenda()
    agenda.put((0, "a"), 10)
    agenda.put((0, "b"), 20)
    agenda.put((0, "b"), 5)
    assert [agenda.pop(20), agenda.pop(20), agenda.pop(20)] == [(0, "b"), (0, "a"), None]
