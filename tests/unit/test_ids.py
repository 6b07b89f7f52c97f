import pytest
from hypothesis import given
from hypothesis import strategies as st

from resonate.core import ids
from resonate.errors import UsageError

SEPARATORS = st.sampled_from([":", "."])
LINEAGES = st.lists(st.integers(1, 10**6), max_size=5)


def grow(root, lineage, separator):
    grown = root
    for n in lineage:
        grown = ids.child(grown, n, separator)
    return grown


@pytest.mark.parametrize(
    ("parent", "separator", "expected"),
    [
        ("root", ":", "root:1"),
        ("root:1", ":", "root:1.1"),
        ("root:1.2", ":", "root:1.2.1"),
        ("order.42", ":", "order.42:1"),
        ("root", ".", "root.1"),
        ("root.1", ".", "root.1.1"),
    ],
)
def test_a_child_counts_below_its_parent(parent, separator, expected):
    assert ids.child(parent, 1, separator) == expected


def test_the_separator_is_a_colon_by_default():
    assert ids.child("root", 7) == "root:7"
    assert ids.origin("a.b:1.2") == "a.b"
    assert ids.parent("a.b:1.2") == "a.b:1"
    assert ids.suffix("a.b", "a.b:1.2") == "1.2"


@given(LINEAGES, SEPARATORS)
def test_all_that_grows_from_a_root_has_it_as_origin(lineage, separator):
    assert ids.origin(grow("root", lineage, separator), separator) == "root"


@given(LINEAGES, st.integers(1, 99), SEPARATORS)
def test_a_child_knows_its_parent(lineage, n, separator):
    above = grow("root", lineage, separator)
    assert ids.parent(ids.child(above, n, separator), separator) == above


@pytest.mark.parametrize("root", ["root", "a.b"])
def test_a_root_has_no_parent(root):
    assert ids.parent(root) is None


@given(LINEAGES, st.lists(st.integers(1, 99), min_size=1, max_size=4), SEPARATORS)
def test_a_suffix_is_the_lineage_below_the_execution(above, below, separator):
    execution = grow("root", above, separator)
    assert ids.suffix(execution, grow(execution, below, separator), separator) == ".".join(map(str, below))


def test_an_execution_has_no_suffix_below_itself():
    assert ids.suffix("root:1", "root:1") == ""


@pytest.mark.parametrize("other", ["root:12", "root:2.1", "elsewhere", "root"])
def test_an_id_that_is_not_below_the_execution_is_its_own_suffix(other):
    assert ids.suffix("root:1", other) == other


@given(st.lists(LINEAGES, unique_by=tuple), SEPARATORS)
def test_lineages_sort_by_number_and_a_parent_before_its_children(lineages, separator):
    by_id = sorted((grow("root", lineage, separator) for lineage in lineages), key=ids.natural_key)
    assert by_id == [grow("root", lineage, separator) for lineage in sorted(lineages)]


def test_what_is_below_a_root_sorts_right_after_it():
    ordered = ["root", "root:1", "root:1.2", "root:2", "root:10", "root-b", "root-b:1", "root2", "root10", "rootb"]
    after_root = sorted(ordered, key=ids.natural_key)
    assert after_root[:5] == ordered[:5]
    assert after_root.index("root-b:1") == after_root.index("root-b") + 1
    assert after_root.index("root2") < after_root.index("root10")


def test_leading_zeros_do_not_make_a_number_text():
    assert sorted(["a10", "a2", "a01", "a1"], key=ids.natural_key) == ["a01", "a1", "a2", "a10"]


@given(st.text(alphabet="a01:.²٣", max_size=6), st.text(alphabet="a01:.²٣", max_size=6))
def test_different_ids_have_different_keys(left, right):
    assert (ids.natural_key(left) == ids.natural_key(right)) == (left == right)


def test_a_key_of_many_digits_is_cheap_and_legal():
    many = "9" * 100_000
    assert ids.natural_key(f"root:{many}") > ids.natural_key("root:10")
    assert ids.natural_key(f"root:{many}8") > ids.natural_key(f"root:{many}")


@pytest.mark.parametrize(
    ("root", "separator"), [("order-42", ":"), ("a.b", ":"), ("a:b", "."), ("x" * 512, ":"), ("Größe 1/2", ":")]
)
def test_a_good_root_id_passes(root, separator):
    ids.check_root_id(root, separator)


@pytest.mark.parametrize(
    ("root", "separator", "says"),
    [
        (42, ":", "is a str, not int"),
        (None, ":", "is a str, not NoneType"),
        ("", ":", "is empty"),
        ("x" * 513, ":", "has 513 characters; 512 are allowed"),
        ("a:b", ":", "'a:b' contains ':'"),
        ("a.b", ".", "'a.b' contains '.'"),
        ("a\0b", ":", "contains a character that no store can carry"),
        ("a\ud800", ":", "contains a character that no store can carry"),
    ],
)
def test_a_bad_root_id_is_refused_with_a_sentence(root, separator, says):
    with pytest.raises(UsageError) as refusal:
        ids.check_root_id(root, separator)
    assert says in str(refusal.value)
    assert refusal.value.hint


@pytest.mark.parametrize(
    ("promise_id", "schedule_id", "expected"),
    [
        ("nightly-1735700400000", "nightly", 1_735_700_400_000),
        ("nightly.1735700400000", "nightly", 1_735_700_400_000),
        ("a-1-1735700400000", "a-1", 1_735_700_400_000),
        ("1735700400000", "17", 1_735_700_400_000),
        ("job--1735700400000", "nightly", 1_735_700_400_000),
        ("nightly", "nightly", None),
        ("nightly-7", "nightly", None),
        ("nightly-1735700400000-x", "nightly", None),
        ("nightly-1735700400000\n", "nightly", None),
        ("nightly-1735700400000", "nightly-1735700400000", None),
        ("nightly-99999999999999", "nightly", None),
    ],
)
def test_the_instant_for_which_a_schedule_made_a_promise(promise_id, schedule_id, expected):
    assert ids.instant(promise_id, schedule_id) == expected
