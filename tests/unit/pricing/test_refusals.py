"""Orders that cannot be priced get a refusal with its reason, never an exception."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue import messages as catalogue
from internal.kernel import money
from internal.kernel.quantities import MILLI
from internal.kernel.unit_prices import UnitPrice
from internal.pricing import messages, rules
from internal.pricing.messages import RefusalReason
from tests.unit.pricing import snapshots
from tests.unit.pricing.snapshots import MERCHANT, STORE, amount, basis_points

SNAPSHOT = snapshots.snapshot_of(
    "EUR",
    {"FULL": (190_000, True), "ON": (200_000, False)},
    {
        "cola": (199, "FULL"),
        "lamp": (2_499, "ON"),
        "gold": (money.INT64_MAX, "ON"),
        "odd": (1, "GONE"),
        "flyer": (0, "FULL"),
    },
)


def with_product(product: catalogue.Product) -> catalogue.CatalogueSnapshot:
    return msgspec.structs.replace(
        SNAPSHOT, products={**SNAPSHOT.products, (MERCHANT, product.sku): product}
    )


def refused(
    request: messages.PriceRequest, snapshot: catalogue.CatalogueSnapshot = SNAPSHOT
) -> tuple[str, str]:
    answer = rules.price(request, snapshot)
    assert isinstance(answer, messages.Refusal)
    return answer.reason, answer.explanation


def ask(
    *lines: messages.WantedLine, adjustments: tuple[messages.Adjustment, ...] = ()
) -> messages.PriceRequest:
    return snapshots.request_for("EUR", [messages.WantedLine("cola", MILLI), *lines], *adjustments)


@pytest.mark.parametrize(
    ("line", "reason", "explanation"),
    [
        (
            messages.WantedLine("mug", MILLI),
            RefusalReason.UNKNOWN_SKU,
            "line 2 (mug): there is no such product",
        ),
        (
            messages.WantedLine("odd", MILLI),
            RefusalReason.UNKNOWN_TAX_CODE,
            "line 2 (odd): its tax code 'GONE' is not in the catalogue",
        ),
        (
            messages.WantedLine("lamp", MILLI, UnitPrice(2_399)),
            RefusalReason.PRICE_CHANGED,
            "line 2 (lamp): the price is 24.99 EUR, the order expects 23.99",
        ),
        (
            messages.WantedLine("lamp", 0),
            RefusalReason.INVALID_ORDER,
            "line 2 (lamp): the quantity must be above 0, and its thousandths fit into 64 bits",
        ),
        (
            messages.WantedLine("lamp", -1),
            RefusalReason.INVALID_ORDER,
            "line 2 (lamp): the quantity must be above 0, and its thousandths fit into 64 bits",
        ),
        (
            messages.WantedLine("flyer", 2**63),
            RefusalReason.INVALID_ORDER,
            "line 2 (flyer): the quantity must be above 0, and its thousandths fit into 64 bits",
        ),
        (
            messages.WantedLine("gold", 2 * MILLI),
            RefusalReason.AMOUNT_TOO_LARGE,
            "line 2 (gold): quantity times price is more than 64 bits can hold",
        ),
        (
            messages.WantedLine("gold", MILLI),
            RefusalReason.AMOUNT_TOO_LARGE,
            "the order's total is more than 64 bits can hold",
        ),
    ],
)
def test_a_line_that_cannot_be_priced(
    line: messages.WantedLine, reason: RefusalReason, explanation: str
) -> None:
    assert refused(ask(line)) == (reason, explanation)


def test_a_product_that_is_no_longer_sold() -> None:
    mug = snapshots.product_of("mug", 500, "EUR", "FULL", active=False)
    assert refused(ask(messages.WantedLine("mug", MILLI)), with_product(mug)) == (
        RefusalReason.INACTIVE_SKU,
        "line 2 (mug): the product is no longer sold",
    )


def test_a_product_in_another_currency() -> None:
    mug = snapshots.product_of("mug", 500, "USD", "FULL")
    assert refused(ask(messages.WantedLine("mug", MILLI)), with_product(mug)) == (
        RefusalReason.CURRENCY_MISMATCH,
        "line 2 (mug): its price is in USD, the store sells in EUR",
    )


def test_an_order_in_another_currency() -> None:
    assert refused(snapshots.request_of("USD", [("cola", 1)])) == (
        RefusalReason.CURRENCY_MISMATCH,
        "store 's-1' sells in EUR, not in USD",
    )


def test_an_unknown_store() -> None:
    request = msgspec.structs.replace(ask(), store_id="s-2")
    assert refused(request) == (RefusalReason.UNKNOWN_STORE, "there is no store 's-2'")


def test_stores_and_products_of_another_merchant_are_unknown() -> None:
    request = msgspec.structs.replace(ask(), merchant_id="m-2")
    assert refused(request)[0] == RefusalReason.UNKNOWN_STORE
    store = catalogue.Store("m-2", STORE, "Next door", "EUR")
    both = msgspec.structs.replace(SNAPSHOT, stores={**SNAPSHOT.stores, ("m-2", STORE): store})
    assert refused(request, both)[0] == RefusalReason.UNKNOWN_SKU


def test_an_order_without_lines() -> None:
    assert refused(snapshots.request_of("EUR", [])) == (
        RefusalReason.INVALID_ORDER,
        "the order has no lines",
    )


@pytest.mark.parametrize(
    ("discounts", "reason", "explanation"),
    [
        (
            [amount(200)],
            RefusalReason.DISCOUNT_TOO_LARGE,
            "a discount of 2.00 EUR is more than the 1.99 of {whole}",
        ),
        (
            [amount(100), basis_points(5_000)],
            RefusalReason.DISCOUNT_TOO_LARGE,
            "a discount of 2.00 EUR is more than the 1.99 of {whole}",
        ),
        (
            [basis_points(10_000), basis_points(1)],
            RefusalReason.DISCOUNT_TOO_LARGE,
            "a discount of 100.01 % is more than {whole}",
        ),
        ([amount(-1)], RefusalReason.INVALID_ORDER, "a discount must not be negative"),
        (
            [amount(1), basis_points(-1)],
            RefusalReason.INVALID_ORDER,
            "a discount must not be negative",
        ),
    ],
)
def test_discounts_that_cannot_be_given(
    discounts: list[messages.Adjustment], reason: RefusalReason, explanation: str
) -> None:
    of_order = explanation.format(whole="the whole order")
    assert refused(ask(adjustments=tuple(discounts))) == (reason, of_order)
    line = messages.WantedLine("cola", MILLI, adjustments=tuple(discounts))
    of_line = f"line 1 (cola): {explanation.format(whole='the line')}"
    assert refused(snapshots.request_for("EUR", [line])) == (reason, of_line)


def test_an_order_has_at_most_what_its_lines_leave_as_a_discount() -> None:
    line = messages.WantedLine("cola", MILLI, adjustments=(amount(100),))
    assert refused(snapshots.request_for("EUR", [line], amount(100))) == (
        RefusalReason.DISCOUNT_TOO_LARGE,
        "a discount of 1.00 EUR is more than the 0.99 of the whole order",
    )


def test_two_lines_of_one_name() -> None:
    lines = [messages.WantedLine("cola", MILLI, line_ref="2"), messages.WantedLine("cola", MILLI)]
    assert refused(snapshots.request_for("EUR", lines)) == (
        RefusalReason.INVALID_ORDER,
        "two lines have the line_ref '2'",
    )


def test_a_tax_code_whose_rates_begin_later() -> None:
    later = snapshots.rate_of(
        "ON", "ON", 200_000, inclusive=False, valid_from_us=snapshots.SOLD_AT_US + 1
    )
    rates = {**SNAPSHOT.tax_rates, (MERCHANT, "ON"): (later,)}
    snapshot = msgspec.structs.replace(SNAPSHOT, tax_rates=rates)
    answer = refused(ask(messages.WantedLine("lamp", MILLI)), snapshot)
    assert answer[0] == RefusalReason.UNKNOWN_TAX_CODE


def test_an_expected_price_that_is_right_is_accepted() -> None:
    line = messages.WantedLine("lamp", MILLI, UnitPrice(2_499))
    assert isinstance(rules.price(ask(line), SNAPSHOT), messages.PricedOrder)


def test_tax_may_be_what_makes_the_total_too_large() -> None:
    request = snapshots.request_of("EUR", [("gold", 1)], amount(1))
    assert refused(request)[0] == RefusalReason.AMOUNT_TOO_LARGE


def test_a_discount_does_not_save_a_gross_that_is_too_large() -> None:
    request = snapshots.request_of("EUR", [("gold", 1), ("gold", 1)], basis_points(9_000))
    assert refused(request)[0] == RefusalReason.AMOUNT_TOO_LARGE


ANY_INT = st.one_of(
    st.integers(-2, 5), st.integers(0, 5_000), st.integers(-(2**63), 2**63 - 1), st.integers()
)
ANY_ADJUSTMENT = st.builds(messages.Adjustment, st.sampled_from(messages.AdjustmentKind), ANY_INT)
ANY_LINE = st.builds(
    messages.WantedLine,
    st.sampled_from(["cola", "lamp", "gold", "odd", "flyer", "mug"]),
    ANY_INT,
    st.none() | (st.sampled_from([199, 2_499]) | ANY_INT).map(UnitPrice),
)
ANY_REQUEST = st.builds(
    messages.PriceRequest,
    merchant_id=st.sampled_from([MERCHANT, "m-2"]),
    store_id=st.sampled_from([STORE, "s-2"]),
    currency=st.sampled_from(["EUR", "USD", ""]),
    lines=st.lists(ANY_LINE, max_size=4).map(tuple),
    sold_at_us=ANY_INT,
    adjustments=st.lists(ANY_ADJUSTMENT, max_size=3).map(tuple),
)


@given(ANY_REQUEST)
def test_any_request_has_an_answer_that_fits_64_bits(request: messages.PriceRequest) -> None:
    answer = rules.price(request, SNAPSHOT)
    if isinstance(answer, messages.Refusal):
        assert answer.reason in set(RefusalReason)
        assert answer.explanation
        return
    amounts = [answer.gross_minor, answer.discount_minor, answer.net_minor, answer.tax_minor]
    amounts += [line.total_minor for line in answer.lines]
    assert all(0 <= minor <= answer.gross_minor + answer.tax_minor for minor in amounts)
    assert money.checked(answer.total_minor) == answer.net_minor + answer.tax_minor
    assert money.checked(answer.gross_minor) >= answer.discount_minor
