"""Shares: what one merchant gets alone, beside others, and after it has given places back."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from internal.api.limits import merchant_shares


class Holder:
    """Takes places and keeps them."""

    def __init__(self, shares: merchant_shares.MerchantShares, merchant_id: str) -> None:
        self._shares, self._merchant_id = shares, merchant_id
        self.places: list[contextlib.ExitStack] = []

    def take(self) -> bool:
        place = contextlib.ExitStack()
        has_place = place.enter_context(self._shares.place(self._merchant_id))
        if has_place:
            self.places.append(place)
        return has_place

    def take_all(self) -> int:
        while self.take():
            pass
        return len(self.places)

    def give_back(self) -> None:
        if self.places:
            self.places.pop().close()


def test_one_merchant_gets_half_and_others_find_places() -> None:
    shares = merchant_shares.MerchantShares(1_024)
    greedy, second, third = (Holder(shares, name) for name in ("m1", "m2", "m3"))
    assert greedy.take_all() == 513
    assert second.take_all() == 256
    assert third.take()
    assert not greedy.take()


def test_a_single_place_is_anybodys() -> None:
    shares = merchant_shares.MerchantShares(1)
    first, second = Holder(shares, "m1"), Holder(shares, "m2")
    assert first.take()
    assert not second.take()
    first.give_back()
    assert second.take()


def test_a_refused_call_holds_nothing() -> None:
    shares = merchant_shares.MerchantShares(2)
    holder = Holder(shares, "m1")
    assert holder.take_all() == 2
    for _ in range(10):
        assert not holder.take()
    holder.give_back()
    assert holder.take()


@given(
    places_max=st.integers(1, 40),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=120),
)
def test_a_merchant_without_a_place_gets_one_while_any_is_free(
    places_max: int, steps: list[tuple[str, bool]]
) -> None:
    shares = merchant_shares.MerchantShares(places_max)
    holders = {name: Holder(shares, name) for name in "abc"}
    for name, takes in steps:
        held = sum(len(holder.places) for holder in holders.values())
        own, free = len(holders[name].places), places_max - held
        if takes:
            assert holders[name].take() == (free > 0 and own <= free)
        else:
            holders[name].give_back()
    for holder in holders.values():
        while holder.places:
            holder.give_back()
    assert Holder(shares, "d").take_all() == places_max // 2 + 1
