"""What each tender brings: amounts, change, cash rounding and tips; values checked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue.messages import Store
from internal.kernel.money import INT64_MAX, RoundingMode
from internal.orders import tender_rules
from internal.payments import tenders as tender_types
from internal.payments.messages import Tender, TenderKind
from internal.pricing.messages import PricedOrder, Refusal
from tests.support import shop

AMOUNTS = st.integers(-10, 2_000)
SMALL = st.sampled_from([0, 0, 0, 5, 150, -1])
TENDERS = st.lists(
    st.builds(
        Tender,
        st.sampled_from(TenderKind),
        amount_minor=st.none() | AMOUNTS,
        given_minor=st.just(0) | AMOUNTS,
        tip_minor=SMALL,
    ),
    max_size=4,
)
STORES = st.builds(
    Store,
    st.just("m-1"),
    st.just("main"),
    st.just("The shop"),
    st.just("CHF"),
    cash_rounding_step_minor=st.sampled_from([0, 1, 5, 10, 100]),
    cash_rounding_mode=st.sampled_from(RoundingMode),
)
EXACT = Store("m-1", "main", "The shop", "EUR")


def rounding(step: int = 5, mode: RoundingMode = RoundingMode.HALF_UP) -> Store:
    """Return a shop whose cash is rounded."""
    return Store(
        "m-1",
        "main",
        "The shop",
        "CHF",
        cash_rounding_step_minor=step,
        cash_rounding_mode=mode,
    )


def settle(total_minor: int, *wanted: Tender, store: Store = EXACT) -> tuple[Tender, ...] | Refusal:
    currency = store.currency
    priced = PricedOrder(currency, (), (), total_minor, 0, total_minor, 0, total_minor)
    return tender_rules.settle(wanted, priced, store)


def settled(total_minor: int, *wanted: Tender, store: Store = EXACT) -> tuple[Tender, ...]:
    found = settle(total_minor, *wanted, store=store)
    assert not isinstance(found, Refusal), found
    return found


def amounts(tenders: tuple[Tender, ...]) -> list[int | None]:
    return [tender.amount_minor for tender in tenders]


@given(TENDERS, st.integers(0, 3_000), STORES)
def test_what_is_accepted_adds_up(wanted: list[Tender], total_minor: int, store: Store) -> None:
    found = settle(total_minor, *wanted, store=store)
    if isinstance(found, Refusal):
        assert found.reason == "TENDERS_DO_NOT_COVER_TOTAL"
        return
    assert sum(it.amount_minor or 0 for it in found) == total_minor
    for it in found:
        if tender_types.of_kind(it.kind).is_cash:
            assert it.given_minor - it.change_minor == it.due_minor >= 0
            assert it.change_minor >= 0
        else:
            assert (it.given_minor, it.change_minor, it.rounding_minor) == (0, 0, 0)
    cash = [it for it in found if tender_types.of_kind(it.kind).is_cash]
    payable = sum(it.due_minor - it.tip_minor for it in cash)
    assert payable % max(1, store.cash_rounding_step_minor) == 0
    assert abs(sum(it.rounding_minor for it in cash)) < max(1, store.cash_rounding_step_minor)


@given(TENDERS, st.integers(0, 3_000))
def test_cards_are_refused_for_a_reason_only(wanted: list[Tender], total_minor: int) -> None:
    """Any cards that could be the total are taken for it, in the order in which they came."""
    cards = [shop.card(it.amount_minor) for it in wanted]
    named = [it.amount_minor for it in cards if it.amount_minor is not None]
    is_open = len(named) < len(cards)
    rest = total_minor - sum(named)
    is_fine = all(amount >= 0 for amount in named) and len(cards) - len(named) <= 1
    is_fine = is_fine and (rest >= 0 if is_open else rest == 0)
    found = settle(total_minor, *cards)
    assert isinstance(found, Refusal) != is_fine
    if not isinstance(found, Refusal):
        expected = [rest if it.amount_minor is None else it.amount_minor for it in cards]
        assert amounts(found) == [amount for amount in expected if amount]


def test_the_open_tender_takes_what_the_others_leave() -> None:
    found = settled(1_000, shop.cash(300), shop.card(), shop.card(200, "tok_2"))
    assert amounts(found) == [300, 500, 200]


def test_an_order_for_nothing_needs_no_tender() -> None:
    assert settled(0, shop.card()) == ()
    assert settled(0, shop.cash(0)) == ()
    assert settled(0, shop.cash(given=500)) == ()
    (tip,) = settled(0, shop.card(tip=300))
    assert (tip.amount_minor, tip.due_minor) == (0, 300)


@pytest.mark.parametrize(
    "tenders",
    [
        (),
        (shop.cash(999),),
        (shop.card(1_001),),
        (shop.card(1_001), shop.cash()),
        (shop.cash(1_001), shop.card()),
        (shop.card(999), shop.cash(0)),
        (shop.card(), shop.card()),
        (shop.cash(-1), shop.card(1_001)),
        (shop.cash(-1), shop.card()),
        (shop.cash(given=999),),
        (shop.cash(1_000, given=999),),
        (shop.cash(999, given=2_000),),
        (shop.cash(1_001, given=2_000),),
        (shop.cash(given=1_000, tip=1),),
        (shop.cash(tip=-1),),
        (shop.cash(given=-1),),
        (shop.card(tip=-1),),
        (Tender(TenderKind.CARD, given_minor=2_000),),
    ],
)
def test_tenders_that_are_not_the_total_are_refused(tenders: tuple[Tender, ...]) -> None:
    found = settle(1_000, *tenders)
    assert isinstance(found, Refusal)
    assert found.reason == "TENDERS_DO_NOT_COVER_TOTAL"


@pytest.mark.parametrize("tip", [INT64_MAX, INT64_MAX - 999])
def test_more_than_the_database_holds_is_refused(tip: int) -> None:
    found = settle(1_000, shop.card(tip=tip))
    assert isinstance(found, Refusal)
    assert found.reason == "AMOUNT_TOO_LARGE"


class TestChange:
    """8.98 is paid with more than that: public case 14."""

    @pytest.mark.parametrize("cash", [shop.cash(2_000), shop.cash(given=2_000)])
    def test_cash_above_the_total_gives_change(self, cash: Tender) -> None:
        (tender,) = settled(898, cash)
        assert (tender.given_minor, tender.change_minor) == (2_000, 1_102)
        assert (tender.amount_minor, tender.due_minor) == (898, 898)

    @pytest.mark.parametrize("cash", [shop.cash(600), shop.cash(given=600)])
    def test_cash_beside_a_card_gives_change(self, cash: Tender) -> None:
        card, tender = settled(898, shop.card(600), cash)
        assert (card.due_minor, card.change_minor) == (600, 0)
        assert (tender.amount_minor, tender.given_minor, tender.change_minor) == (298, 600, 302)

    @pytest.mark.parametrize("others", [(), (shop.cash(1),), (shop.cash(),)])
    def test_a_card_above_the_total_is_refused(self, others: tuple[Tender, ...]) -> None:
        found = settle(898, shop.card(900), *others)
        assert isinstance(found, Refusal)
        assert found.reason == "TENDERS_DO_NOT_COVER_TOTAL"

    def test_exact_cash_was_given(self) -> None:
        (tender,) = settled(898, shop.cash())
        assert (tender.given_minor, tender.change_minor) == (898, 0)

    def test_the_last_cash_gives_change(self) -> None:
        first, last = settled(898, shop.cash(500), shop.cash(500))
        assert (first.amount_minor, first.change_minor) == (500, 0)
        assert (last.amount_minor, last.change_minor) == (398, 102)


class TestRounding:
    """CHF 1.23 + 0.43 in a shop that rounds cash to 0.05: public case 8."""

    @pytest.mark.parametrize("cash", [shop.cash(), shop.cash(165), shop.cash(166)])
    def test_cash_is_rounded_and_the_total_stays(self, cash: Tender) -> None:
        (tender,) = settled(166, cash, store=rounding())
        assert (tender.amount_minor, tender.rounding_minor, tender.due_minor) == (166, -1, 165)
        assert (tender.given_minor, tender.change_minor) == (165, 0)

    def test_a_card_is_not_rounded(self) -> None:
        (tender,) = settled(166, shop.card(), store=rounding())
        assert (tender.due_minor, tender.rounding_minor) == (166, 0)

    @pytest.mark.parametrize("cash", [shop.cash(), shop.cash(65), shop.cash(66)])
    def test_what_is_left_for_cash_is_rounded(self, cash: Tender) -> None:
        card, tender = settled(166, shop.card(100), cash, store=rounding())
        assert card.due_minor == 100
        assert (tender.amount_minor, tender.due_minor, tender.rounding_minor) == (66, 65, -1)

    @pytest.mark.parametrize("cash", [shop.cash(1_000), shop.cash(given=1_000)])
    def test_change_is_what_is_above_the_rounded_amount(self, cash: Tender) -> None:
        (tender,) = settled(166, cash, store=rounding())
        assert (tender.due_minor, tender.change_minor) == (165, 835)

    @pytest.mark.parametrize(
        ("total", "mode", "due"),
        [
            (166, RoundingMode.UP, 170),
            (166, RoundingMode.DOWN, 165),
            (198, RoundingMode.DOWN, 195),
            (167, RoundingMode.HALF_UP, 165),
            (168, RoundingMode.HALF_UP, 170),
            (2, RoundingMode.HALF_UP, 0),
            (170, RoundingMode.UP, 170),
        ],
    )
    def test_the_mode_is_the_stores(self, total: int, mode: RoundingMode, due: int) -> None:
        (tender,) = settled(total, shop.cash(), store=rounding(mode=mode))
        assert (tender.due_minor, tender.amount_minor) == (due, total)

    @pytest.mark.parametrize(
        "tenders",
        [
            (shop.cash(164),),
            (shop.cash(160),),
            (shop.cash(given=164),),
            (shop.cash(166, given=164),),
            (shop.card(165),),
            (shop.card(100), shop.cash(64)),
        ],
    )
    def test_too_little_is_refused(self, tenders: tuple[Tender, ...]) -> None:
        found = settle(166, *tenders, store=rounding())
        assert isinstance(found, Refusal)
        assert found.reason == "TENDERS_DO_NOT_COVER_TOTAL"

    def test_named_as_it_is_rounded_up_gives_no_change(self) -> None:
        store = rounding(mode=RoundingMode.UP)
        (tender,) = settled(166, shop.cash(170), store=store)
        assert (tender.due_minor, tender.change_minor, tender.rounding_minor) == (170, 0, 4)
        assert isinstance(settle(166, shop.cash(given=166), store=store), Refusal)

    def test_cash_that_was_named_beside_an_open_card_is_rounded(self) -> None:
        cash, card = settled(1_000, shop.cash(333), shop.card(), store=rounding())
        assert (cash.amount_minor, cash.due_minor, card.due_minor) == (333, 335, 667)


class TestTips:
    """A tip is on top of an amount, and no part of the total."""

    def test_on_a_card(self) -> None:
        """Goods for 20.00 with a tip of 3.00: the card pays 23.00."""
        (tender,) = settled(2_000, shop.card(tip=300))
        assert (tender.amount_minor, tender.tip_minor, tender.due_minor) == (2_000, 300, 2_300)

    def test_a_card_for_goods_and_tip_in_one_is_refused(self) -> None:
        assert isinstance(settle(2_000, shop.card(2_300)), Refusal)
        assert isinstance(settle(2_000, shop.card(2_300, tip=300)), Refusal)

    def test_on_cash(self) -> None:
        for cash in (shop.cash(given=2_500, tip=300), shop.cash(2_500, tip=300)):
            (tender,) = settled(2_000, cash)
            assert (tender.due_minor, tender.given_minor, tender.change_minor) == (
                2_300,
                2_500,
                200,
            )

    def test_a_tip_is_not_rounded(self) -> None:
        (tender,) = settled(166, shop.cash(tip=3), store=rounding())
        assert (tender.rounding_minor, tender.due_minor) == (-1, 168)
