"""Allocation of stock: never more than is available, first come, first served, all or nothing."""

from hypothesis import given
from hypothesis import strategies as st

from internal.inventory import rules
from internal.inventory.messages import Demand, Shortage, StockKey, StockLevel

SKUS = st.sampled_from("abc")
LOCATIONS = st.sampled_from(["north", "south"])
KEYS = st.builds(StockKey, st.just("m-1"), LOCATIONS, SKUS)
LEVELS = st.dictionaries(
    KEYS,
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(
        lambda pair: StockLevel(max(pair), min(pair))
    ),
)
DEMANDS = st.lists(
    st.builds(Demand, st.just("m-1"), LOCATIONS, st.dictionaries(SKUS, st.integers(1, 12))),
    max_size=12,
)


def key(sku: str, location_id: str = "north") -> StockKey:
    return StockKey("m-1", location_id, sku)


def wants(location_id: str = "north", /, **quantities_milli: int) -> Demand:
    return Demand("m-1", location_id, quantities_milli)


@given(LEVELS, DEMANDS)
def test_nothing_is_oversold(levels: dict[StockKey, StockLevel], demands: list[Demand]) -> None:
    _, reserved = rules.allocate(levels, demands)
    assert all(0 < quantity <= levels[key].available_milli for key, quantity in reserved.items())


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
        left = None if level is None else level.available_milli - before.get(wanted, 0)
        assert shortage == Shortage(shortage.sku, demand.quantities_milli[shortage.sku], left)
        assert left is None or left < shortage.wanted_milli


def test_a_demand_takes_what_an_earlier_one_left() -> None:
    levels = {
        key("tea"): StockLevel(on_hand_milli=5, reserved_milli=1),
        key("cup"): StockLevel(9, 0),
    }
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


def test_nothing_can_be_reserved_of_stock_that_is_promised_twice() -> None:
    levels = {key("tea"): StockLevel(-2_000, 1_000)}
    shortages, reserved = rules.allocate(levels, [wants(tea=1)])
    assert (shortages, reserved) == ([Shortage("tea", 1, -3_000)], {})


@given(st.integers(-50, 50), st.integers(0, 50), st.integers(-50, 50))
def test_on_hand_is_the_count_and_what_moved_after_it(
    on_hand_milli: int, counted_milli: int, moved_since_milli: int
) -> None:
    difference = rules.count_difference(on_hand_milli, counted_milli, moved_since_milli)
    assert on_hand_milli + difference == counted_milli + moved_since_milli
