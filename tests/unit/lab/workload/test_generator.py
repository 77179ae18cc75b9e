"""Every generated order is of its kind, according to the API server's checks and the rules."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from internal.api import calls, validation
from internal.api.orders import from_wire
from internal.catalogue.messages import CatalogueSnapshot, Product, Store, TaxRate
from internal.kernel import errors
from internal.kernel.quantities import MILLI
from internal.kernel.unit_prices import UnitPrice
from internal.lab.workload import generator, scenarios, shop
from internal.lab.workload.scenarios import Kind
from internal.orders.messages import OrderPlaced
from internal.stages import order_processing
from internal.wire.souk.v1 import order_pb2
from tests.unit.lab.workload import shops

MERCHANT = "m-1"
SHOP = shops.small()
BY_RULES = frozenset(
    {Kind.INACTIVE, Kind.UNKNOWN_SKU, Kind.UNKNOWN_STORE, Kind.PRICE_CHANGED, Kind.UNDERPAID}
)


def a_run(
    seed: int = 1, name: str = "run-1", mix: scenarios.Mix = scenarios.DEMO_MIX
) -> generator.RunSpec:
    return generator.RunSpec(name, seed, mix)


def snapshot_of(sells: shop.Shop) -> CatalogueSnapshot:
    rate = TaxRate(MERCHANT, "A", "A", "VAT", 190_000, inclusive=True)
    return CatalogueSnapshot(
        stores={(MERCHANT, it): Store(MERCHANT, it, it, sells.currency) for it in sells.store_ids},
        products={
            (MERCHANT, it.sku): Product(
                MERCHANT, it.sku, it.sku, UnitPrice(it.price_minor), sells.currency, "A", it.active
            )
            for it in sells.items
        },
        tax_rates={(MERCHANT, "A"): (rate,)},
    )


SNAPSHOT = snapshot_of(SHOP)


def at_api(draft: order_pb2.OrderDraft) -> OrderPlaced | str:
    """Return the fact of a draft, or the API server's reason to refuse it."""
    body = from_wire.body_of(draft)
    fault = validation.fault_of(draft, body)
    if fault:
        return str(fault.reason)
    try:
        return from_wire.placed(draft, calls.Origin(MERCHANT, "", 1), "order.").placed
    except errors.InvalidInput as error:
        return error.code


def by_rules(placed: OrderPlaced) -> str:
    """Return the reason of the rules to refuse an order before stock and payment, or ""."""
    refusal = order_processing.draft(placed, SNAPSHOT).refusal
    return refusal.reason if refusal else ""


def test_demo_mix_has_every_kind_with_its_share() -> None:
    dealt = Counter(sent.kind for sent in generator.stream(SHOP, a_run(), 1_000))
    assert {kind: dealt[kind] for kind in scenarios.DEMO_MIX} == scenarios.DEMO_MIX
    assert dealt.total() == 1_000


def test_hundred_orders_show_every_kind() -> None:
    dealt = {sent.kind for sent in generator.stream(SHOP, a_run(), 100)}
    assert dealt == set(Kind) - {Kind.OPEN}  # a load run does not come back to pay them


@pytest.mark.parametrize("count", [1, 31, 999, 1_000, 1_001, 2_500])
def test_as_many_orders_as_wanted(count: int) -> None:
    assert len(list(generator.stream(SHOP, a_run(), count))) == count


def test_same_seed_and_name_make_the_same_orders() -> None:
    assert list(generator.stream(SHOP, a_run(7), 200)) == list(
        generator.stream(SHOP, a_run(7), 200)
    )
    assert list(generator.stream(SHOP, a_run(7), 200)) != list(
        generator.stream(SHOP, a_run(8), 200)
    )


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.text("0123456789abcdef", min_size=8, max_size=8))
def test_orders_come_to_their_expected_ends(seed: int, name: str) -> None:
    for sent in generator.stream(SHOP, a_run(seed, f"demo-{name}"), 120):
        told = at_api(sent.draft)
        if sent.kind is Kind.INVALID:
            assert told in scenarios.EXPECTED[sent.kind].ends
            continue
        assert isinstance(told, OrderPlaced), (sent, told)
        refused = by_rules(told)
        assert (refused in scenarios.EXPECTED[sent.kind].ends) == (sent.kind in BY_RULES), (
            sent,
            refused,
        )


def test_orders_are_varied() -> None:
    good = [s.draft for s in generator.stream(SHOP, a_run(), 1_000) if s.kind is Kind.ORDINARY]
    discounts = {tuple(it.WhichOneof("value") for it in draft.adjustments) for draft in good}
    assert discounts == {(), ("amount",), ("basis_points",)}
    tenders = {tuple(t.WhichOneof("kind") for t in draft.tenders) for draft in good}
    assert tenders == {("cash",), ("card",), ("cash", "card")}
    assert {draft.store_id for draft in good} == set(SHOP.store_ids)
    assert max(len(draft.lines) for draft in good) > 20
    lines = [line for draft in good for line in draft.lines]
    assert any(line.HasField("expected_price") for line in lines)
    assert any(line.quantity_milli % MILLI for line in lines)
    assert any(line.adjustments for line in lines)
    last = [draft.tenders[-1] for draft in good]
    assert any(tender.HasField("tip") for tender in last)
    assert any(tender.HasField("cash") and tender.cash.HasField("given") for tender in last)


def test_repeated_orders_follow_their_original() -> None:
    (chunk,) = generator.chunks(SHOP, a_run(), 1_000)
    names = [sent.draft.order_id for sent in chunk.first]
    originals = {s.draft.order_id: s.draft for s in chunk.first if s.kind is Kind.ORDINARY}
    again = [n for n, sent in enumerate(chunk.first) if sent.kind is Kind.AGAIN]
    assert again
    assert all(names[n] in names[:n] for n in again)
    assert {sent.kind for sent in chunk.later} == scenarios.REPEATS
    for sent in chunk.later:
        is_same = sent.draft == originals[sent.draft.order_id]
        assert is_same == (sent.kind is Kind.AGAIN)


def test_shop_without_rare_or_old_products_does_without() -> None:
    plain = shop.Shop("JPY", ("s-1",), tuple(shop.Item(f"sku-{n}", 10 + n) for n in range(5)))
    dealt = {sent.kind for sent in generator.stream(plain, a_run(), 200)}
    assert set(Kind) - dealt == {Kind.SCARCE, Kind.INACTIVE, Kind.OPEN}


def test_any_order_may_run_out_of_stock_but_nothing_else() -> None:
    assert scenarios.is_expected(Kind.ORDINARY, "OUT_OF_STOCK")
    assert scenarios.is_expected(Kind.ORDINARY, "FINALIZED")
    assert not scenarios.is_expected(Kind.ORDINARY, "PAYMENT_DECLINED")
    assert not scenarios.is_expected(Kind.DECLINED, "FINALIZED")
