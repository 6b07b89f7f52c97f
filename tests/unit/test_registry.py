import functools
import gc
import sys
import threading

import pytest

from resonate.core.registry import Registry, describe
from resonate.core.retry import Constant
from resonate.errors import FunctionNotRegistered, UsageError


def charge(n): ...


def refund(n): ...


class Shop:
    __hash__ = None

    def charge(self, n): ...


class Unhashable:
    __hash__ = None

    def __call__(self, n): ...


def registry(*functions):
    made = Registry()
    for function in functions:
        made.add(function)
    return made


def failure(made, name, version=None):
    with pytest.raises(FunctionNotRegistered) as caught:
        made.get(name, version)
    return str(caught.value)


def test_the_latest_version_counts_unless_one_is_pinned():
    first, third, second = (describe(fn, name="charge", version=v) for fn, v in ((charge, 1), (refund, 3), (len, 2)))
    made = registry(first, third, second)
    assert made.get("charge") is third
    assert [made.get("charge", version) for version in (1, 2, 3)] == [first, second, third]


def test_the_same_function_again_is_harmless_and_gives_what_is_registered():
    made = Registry()
    first = made.add(describe(charge, retry=Constant(1)))
    assert made.add(first) is first
    assert made.add(describe(charge, retry=Constant(1))) is first
    assert made.get("charge") is first
    assert made.of(charge) is first


def test_another_function_of_the_same_name_and_version_is_refused_with_both_places():
    made = registry(describe(charge))
    with pytest.raises(UsageError) as caught:
        made.add(describe(refund, name="charge"))
    text = str(caught.value)
    assert "'charge', version 1, is registered as charge (test_registry.py:" in text
    assert "it can't be refund (test_registry.py:" in text
    assert made.get("charge").fn is charge
    assert made.of(refund) is None


@pytest.mark.parametrize("other", [{"retry": Constant(2)}, {"timeout": 1}, {"tags": {"a": "b"}}, {"retry": None}])
def test_the_same_function_with_other_options_is_refused(other):
    options = {"retry": Constant(1), **other}
    made = registry(describe(charge, retry=Constant(1)))
    with pytest.raises(UsageError, match="is registered with other options"):
        made.add(describe(charge, **options))


def test_a_lambda_needs_a_name():
    with pytest.raises(UsageError, match="Give it a name"):
        registry(describe(lambda n: n))
    with pytest.raises(UsageError, match="Give it a name"):
        registry(describe(functools.partial(lambda n: n, 1)))
    assert registry(describe(lambda n: n, name="double")).names() == ("double",)
    assert registry(describe(charge, name="lambda")).names() == ("lambda",)


def test_an_unknown_name_is_answered_with_a_close_one_and_all_that_is_known():
    made = registry(describe(charge), describe(refund), describe(refund, version=3))
    text = failure(made, "chargee")
    assert "no function is registered here as 'chargee'" in text
    assert "Did you mean 'charge'?" in text
    assert "Registered: charge, refund (versions 1, 3)." in text
    assert "Did you mean" not in failure(made, "zzz")


def test_an_empty_registry_says_so():
    assert "Registered: nothing." in failure(Registry(), "charge", 1)


def test_a_long_list_of_names_is_cut():
    made = registry(*(describe(charge, name=f"job{i:03}") for i in range(25)))
    text = failure(made, "zzz")
    assert "job019 and 5 more." in text
    assert "job020" not in text
    assert "more" not in failure(registry(*(describe(charge, name=f"job{i:03}") for i in range(20))), "zzz")


def test_an_unknown_version_is_answered_with_the_known_ones():
    made = registry(describe(charge, version=2), describe(refund, name="charge", version=10))
    text = failure(made, "charge", 3)
    assert "'charge' is not registered here in version 3" in text
    assert "2, 10" in text


def test_names_are_sorted():
    assert registry(describe(refund), describe(charge), describe(charge, version=2)).names() == ("charge", "refund")


def test_a_function_is_found_by_itself():
    made = registry(describe(charge), describe(charge, version=3), describe(charge, name="other", version=3))
    latest = made.of(charge)
    assert (latest.name, latest.version) == ("charge", 3)
    assert made.of(charge, 1).version == 1
    assert made.of(charge, 2) is None
    assert made.of(refund) is None


def test_a_bound_method_is_found_by_its_halves():
    shop, other = Shop(), Shop()
    made = registry(describe(shop.charge))
    assert made.of(shop.charge).name == "charge"
    assert made.of(other.charge) is None
    assert made.of(Shop.charge) is None
    made.add(describe(shop.charge))
    with pytest.raises(UsageError, match=r"Shop\.charge"):
        made.add(describe(other.charge))


def test_an_unhashable_callable_is_found():
    job = Unhashable()
    assert registry(describe(job)).of(job).fn is job


def test_partials_of_one_function_are_different_functions():
    one, two = functools.partial(charge, 1), functools.partial(charge, 2)
    made = registry(describe(one), describe(two, name="two"))
    assert made.of(one).name == "charge"
    assert made.of(two).name == "two"
    with pytest.raises(UsageError, match="another name"):
        made.add(describe(two))


def test_all_functions_are_listed_by_name_and_version():
    made = Registry()
    for name, version in (("b", 1), ("a", 2), ("a", 1)):
        made.add(describe(charge, name=name, version=version))
    assert [(one.name, one.version) for one in made.functions()] == [("a", 1), ("a", 2), ("b", 1)]


def test_who_looks_a_function_up_is_not_disturbed_by_what_the_garbage_collector_registers():
    made, names = Registry(), iter(range(300))

    class Registers:
        """Registers the function when it is collected, in the middle of whatever that is, and leaves another."""

        def __init__(self):
            self.itself = self

        def __del__(self):
            if (number := next(names, None)) is not None:
                made.add(describe(charge, name=f"charge-{number}"))
                Registers()

    made.add(describe(charge, name="first"))
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        Registers()
        while next(names, None) is not None:
            assert made.of(charge) is not None
            assert made.get("first")
            assert "first" in made.names()
            assert made.functions()
    finally:
        gc.set_threshold(*before)


def test_threads_that_register_at_once_lose_nothing():
    made = Registry()
    start = threading.Barrier(8)
    kept = []

    def work(thread):
        start.wait()
        for i in range(100):
            made.add(describe(charge, name=f"{thread}-{i}"))
            kept.append(made.add(describe(charge, name="shared", version=i + 1)))
            made.of(charge)
            made.get("shared")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(made.names()) == 801
    assert len(kept) == 800
    assert len(set(kept)) == 100
    assert made.get("shared").version == 100
