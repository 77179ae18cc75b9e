"""The steps of a price, in sentences."""

import msgspec
from hypothesis import given

from internal.catalogue.messages import PricePolicy
from internal.kernel.unit_prices import UnitPrice
from internal.pricing import messages, rules, trace
from internal.pricing.messages import PartKind
from tests.unit.pricing import snapshots


def steps_of(order: messages.PricedOrder | messages.Refusal) -> tuple[str, ...]:
    assert isinstance(order, messages.PricedOrder)
    return trace.steps(order.lines, order.currency)


def test_every_kind_of_step() -> None:
    rates: snapshots.Rates = {
        "BC": {"GST": (50_000, False), "PST": (70_000, False)},
        "VAT": (190_000, True),
    }
    snapshot = snapshots.snapshot_of(
        "EUR", rates, {"ham": (1_999, "BC"), "screw": (UnitPrice(4_950, 2), "VAT")}
    )
    coupon = messages.Adjustment(
        messages.AdjustmentKind.BASIS_POINTS, 1_000, messages.AdjustmentSource.COUPON, "WELCOME"
    )
    by_hand = messages.Adjustment(
        messages.AdjustmentKind.AMOUNT, 66, reason_code="DENTED", allowed_by="anna"
    )
    lines = [
        messages.WantedLine("ham", 333, adjustments=(by_hand,)),
        messages.WantedLine("screw", 500_000),
    ]
    order = rules.price(
        snapshots.request_for("EUR", lines, coupon, snapshots.amount(100)), snapshot
    )
    assert steps_of(order) == (
        "line 1: 0.333 x 19.99 = 6.66 (HALF_UP), discount 1.28,"
        " tax GST 0.27 on top, tax PST 0.38 on top",
        "line 1: discount 0.66, manual, DENTED, allowed by anna",
        "line 2: 500 x 0.4950 = 247.50, discount 25.73, tax VAT 35.41 inside",
        "discount 10 % of 253.50 = 25.35 (HALF_UP), coupon, WELCOME,"
        " shared among the lines by largest remainder",
        "discount 1.00, manual, shared among the lines by largest remainder",
        "tax GST: 5 % on top of 5.38 = 0.27",
        "tax PST: 7 % on top of 5.38 = 0.38",
        "tax VAT: 19 % inside 221.77 = 35.41",
        "tax rounded HALF_UP on each line",
    )


def test_a_price_of_the_till_is_said() -> None:
    snapshot = snapshots.snapshot_of("EUR", {"VAT": (190_000, True)}, {"ham": (1_999, "VAT")})
    shops = {
        key: msgspec.structs.replace(it, price_policy=PricePolicy.TILL)
        for key, it in snapshot.stores.items()
    }
    lines = [messages.WantedLine("ham", 1_000, UnitPrice(1_500)), messages.WantedLine("ham", 1_000)]
    request = snapshots.request_for("EUR", lines)
    steps = steps_of(rules.price(request, msgspec.structs.replace(snapshot, stores=shops)))
    assert steps[0].startswith("line 1: 1 x 15.00 = 15.00 (the till's price), tax")
    assert steps[1].startswith("line 2: 1 x 19.99 = 19.99, tax")


def test_no_line_has_no_step() -> None:
    assert trace.steps((), "EUR") == ()


@given(snapshots.cases())
def test_there_is_a_step_for_everything(case: snapshots.Case) -> None:
    order = rules.price(case.request, case.snapshot)
    assert isinstance(order, messages.PricedOrder)
    parts = [part for line in order.lines for part in line.parts if part.kind is PartKind.DISCOUNT]
    of_lines = [part for part in parts if part.rule is messages.PartRule.LINE]
    of_order = {part.adjustment_no for part in parts if part.rule is messages.PartRule.ORDER}
    expected = len(order.lines) + len(of_lines) + len(of_order) + len(order.taxes) + 1
    assert len(steps_of(order)) == expected
