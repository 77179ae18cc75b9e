"""A request is new, repeated, or another one under a taken id; its hash is that of its meaning."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from internal.requests import rules
from internal.requests.messages import RequestKey
from tests.unit.requests import samples

VALUES = st.lists(st.text() | st.integers() | st.booleans() | st.none(), max_size=4)


def test_nothing_is_recorded_under_a_new_id() -> None:
    assert rules.judge(None, "any") is rules.Verdict.NEW


def test_the_same_body_is_a_repetition_and_another_is_refused() -> None:
    known = samples.request(body_hash="same")
    assert rules.judge(known, "same") is rules.Verdict.REPEATED
    assert rules.judge(known, "other") is rules.Verdict.REUSED


@given(VALUES, VALUES)
def test_equal_hashes_mean_equal_values(one: list[object], two: list[object]) -> None:
    is_equal = msgspec.json.encode(one) == msgspec.json.encode(two)
    assert (rules.hash_of(*one) == rules.hash_of(*two)) == is_equal
    assert len(rules.hash_of(*one)) == 32


def test_the_place_of_a_value_counts() -> None:
    assert rules.hash_of("ab", "c") != rules.hash_of("a", "bc")
    assert rules.hash_of("a", "") != rules.hash_of("", "a")


def test_a_request_has_a_number_of_its_own() -> None:
    keys = [RequestKey("m", "CancelOrder", "r"), RequestKey("m", "CancelOrder", "r2")]
    keys += [RequestKey("m2", "CancelOrder", "r"), RequestKey("m", "AddTender", "r")]
    numbers = [rules.number_of(it) for it in keys]
    assert len(set(numbers)) == len(keys)
    assert all(0 <= number < 2**63 for number in numbers)
    assert numbers == [rules.number_of(it) for it in keys]
