import random
from itertools import islice

from resonate.adapters.memory.ids import SortedIds


def test_ids_come_in_order_whenever_they_were_added() -> None:
    ids, known, dice = SortedIds(), list[str](), random.Random(1)
    for number in dice.sample(range(10_000), 6_000):
        ids.add(f"p{number}")
        known.append(f"p{number}")
        if number % 500 == 0:
            cursor = dice.choice([None, *known, "p", "q", ""])
            assert [*ids.after(cursor)] == sorted(id for id in known if cursor is None or id > cursor)
    assert [*ids.after(None)] == sorted(known)
    assert [*islice(ids.after("p42"), 3)] == sorted(id for id in known if id > "p42")[:3]


def test_nothing_comes_of_nothing() -> None:
    assert not [*SortedIds().after(None)]
    assert not [*SortedIds().after("a")]
