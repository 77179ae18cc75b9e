"""API keys: found by their id and compared by their hash."""

from hypothesis import given
from hypothesis import strategies as st

from internal.auth import rules

HEX = "0123456789abcdef"
KEY_IDS = st.text(HEX, min_size=12, max_size=12)
SECRETS = st.text(HEX, min_size=64, max_size=64)


@given(KEY_IDS, SECRETS)
def test_a_key_is_found_by_its_id_and_matches_its_hash(key_id: str, secret: str) -> None:
    key = rules.issue(key_id, secret)
    assert rules.key_id_of(key.secret) == key_id
    assert rules.is_right(key.secret, key.key_hash)
    assert secret not in key.key_hash


@given(KEY_IDS, SECRETS, st.integers(0, 81), st.sampled_from(HEX))
def test_another_key_does_not_match(key_id: str, secret: str, place: int, digit: str) -> None:
    key = rules.issue(key_id, secret)
    other = key.secret[:place] + digit + key.secret[place + 1 :]
    assert rules.is_right(other, key.key_hash) == (other == key.secret)


@given(st.text())
def test_a_text_that_is_not_a_key_has_no_id(text: str) -> None:
    assert rules.key_id_of(text) is None
