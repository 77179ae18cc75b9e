"""Allocation of stock: never more than is available, first come, first served, all or nothing."""

from hypothesis import given
from hypothesis import strategies as st

from internal.inventory import rules
from internal.inventory.messages import Demand, Shortage, StockKey, StockLevel

SKUS = st.sampled_from("abc")
STORES = st.sampled_from(["north", "south"])
KEYS = st.builds(StockKey, st.just("m-1"), STORES, SKUS)
LEVELS = st.dictionaries(
    KEYS,
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(
        lambda pair: StockLevel(max(pair), min(pair))
    ),
)
DEMANDS = st.lists(
    st.builds(Demand, st.just("m-1"), STORES, st.dictionaries(SKUS, st.integers(1, 12))),
    max_size=12,
)


def key(sku: str, store_id: str = "north") -> StockKey:
    return StockKey("m-1", store_id, sku)


def wants(store_id: str = "north", /, **quantities: int) -> Demand:
    return Demand("m-1", store_id, quantities)


@given(LEVELS, DEMANDS)
def test_nothing_is_oversold(levels: dict[StockKey, StockLevel], demands: list[Demand]) -> None:
    _, reserved = rules.allocate(levels, demands)
    assert all(0 < quantity <= levels[key].available for key, quantity in reserved.items())


@given(LEVELS, DEMANDS)
def test_all_or_nothing(levels: dict[StockKey, StockLevel], demands: list[Demand]) -> None:
    shortages, reserved = rules.allocate(levels, demands)
    served = [demand for demand, shortage in zip(demands, shortages, strict=True) if not shortage]
    assert reserved == rules.total(served)


@given(LEVELS, DEMANDS)
def test_first_come_first_served(levels: dict[StockKey, StockLevel], demands: list[Demand]) -> None:
    """A later demand changes nothing for earlier ones."""
    shortages, _ = rules.allocate(levels, demands)
    for count in range(len(demands)):
        assert rules.allocate(levels, demands[:count])[0] == shortages[:count]


@given(LEVELS, DEMANDS)
def test_a_shortage_is_always_real(
    levels: dict[StockKey, StockLevel], demands: list[Demand]
) -> None:
    """A demand is refused only if earlier ones have left too little."""
    shortages, _ = rules.allocate(levels, demands)
    for place, shortage in enumerate(shortages):
        if shortage is None:
            continue
        demand = demands[place]
        _, before = rules.allocate(levels, demands[:place])
        wanted = rules.key_of(demand, shortage.sku)
        level = levels.get(wanted)
        left = None if level is None else level.available - before.get(wanted, 0)
        assert shortage == Shortage(shortage.sku, demand.quantities[shortage.sku], left)
        assert left is None or left < shortage.wanted


def test_a_demand_takes_what_an_earlier_one_left() -> None:
    levels = {key("tea"): StockLevel(on_hand=5, reserved=1), key("cup"): StockLevel(9, 0)}
    demands = [wants(tea=3), wants(tea=2, cup=1), wants(tea=1)]
    shortages, reserved = rules.allocate(levels, demands)
    assert shortages == [None, Shortage("tea", 2, 1), None]
    assert reserved == {key("tea"): 4}


def test_a_product_that_is_not_stocked_differs_from_one_that_is_sold_out() -> None:
    levels = {key("tea", "south"): StockLevel(0, 0)}
    shortages, reserved = rules.allocate(levels, [wants(tea=1), wants("south", tea=1)])
    assert shortages == [Shortage("tea", 1, None), Shortage("tea", 1, 0)]
    assert not reserved


def test_an_empty_demand_is_met() -> None:
    assert rules.allocate({}, [wants()]) == ([None], {})


def test_demands_add_up() -> None:
    assert rules.total([wants(a=1, b=2), wants(a=3)]) == {key("a"): 4, key("b"): 2}
