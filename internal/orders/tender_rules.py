"""What each tender of an order brings: its amount, its change, its cash rounding, its tip. Pure.

The amounts add up to the order's total, which neither a tip nor rounding changes. Sources: Odoo and
ERPNext, which round cash on a line of its own; case reports on change and on rounded cash.
"""

from collections.abc import Sequence

import msgspec

from internal.catalogue.messages import Store
from internal.kernel import money
from internal.orders.messages import OrderPlaced, RejectReason
from internal.payments import tenders as tender_types
from internal.payments.messages import OnDecline, Tender
from internal.pricing.messages import PricedOrder, Refusal, RefusalReason


class _Shares(msgspec.Struct, frozen=True):
    """How the total is shared out, by the positions of the tenders from 0."""

    amounts: tuple[int, ...]
    left_minor: int
    """What the amounts that were named leave of the total."""
    filler: int | None
    """Takes what is left: the tender without an amount, else the last cash."""
    rounded: int | None
    """Bears the cash rounding: the filler if it is cash, else the last cash."""
    rounding_minor: int


def settle(
    wanted: Sequence[Tender], priced: PricedOrder, store: Store
) -> tuple[Tender, ...] | Refusal:
    """Give each tender its amount, and cash its change and its rounding.

    Cash may be more than is left for it: it gives change, unless it names both an amount and what
    was given. An amount of cash may also be named as it is after rounding. An order that costs
    nothing needs no tender, so tenders of 0 are dropped, but not those with a tip.
    """
    return _settle(wanted, priced.total_minor, priced.currency, store)


def settle_placed(
    placed: OrderPlaced, priced: PricedOrder, store: Store
) -> tuple[Tender, ...] | Refusal:
    """Do what `settle` does for a new order; the tenders of one that is kept open may be too few.

    Then each is settled as if it was added alone, and a later one gets what is left.
    """
    wanted = placed.tenders
    whole = settle(wanted, priced, store)
    if not isinstance(whole, Refusal) or placed.on_decline is OnDecline.REFUSE:
        return whole
    left_minor, settled = priced.total_minor, list[Tender]()
    for tender in wanted:
        found = add(tender, left_minor, priced.currency, store)
        if isinstance(found, Refusal):
            return found
        left_minor -= found.amount_minor or 0
        settled.append(found)
    return tuple(settled)


def add(tender: Tender, left_minor: int, currency: str, store: Store) -> Tender | Refusal:
    """Give a tender of an open order its amount: what it names, or what is left to be paid.

    Only cash may be more than is left, and only cash that closes the order is rounded.
    """
    if left_minor <= 0:
        what = "the order's tenders bring its total already"
        return Refusal(RejectReason.TENDER_ABOVE_REST, what)
    closing = _settle((tender,), left_minor, currency, store)
    if not isinstance(closing, Refusal):
        return closing[0]
    named_minor = left_minor if tender.amount_minor is None else tender.amount_minor
    if not 0 < named_minor <= left_minor:
        what = f"{named_minor} minor units of {currency} are not from 1 to the {left_minor} left"
        return Refusal(RejectReason.TENDER_ABOVE_REST, what)
    unrounded = msgspec.structs.replace(store, cash_rounding_step_minor=0)
    part = _settle((tender,), named_minor, currency, unrounded)
    return part if isinstance(part, Refusal) else part[0]


def _settle(
    wanted: Sequence[Tender], total_minor: int, currency: str, store: Store
) -> tuple[Tender, ...] | Refusal:
    shares = _share(wanted, total_minor, store)
    if _is_short(wanted, shares):
        return _not_the_total(wanted, total_minor, currency)
    settled = [_settled(n, tender, shares) for n, tender in enumerate(wanted)]
    for tender in settled:
        if tender.change_minor < 0 or tender.due_minor < 0:
            return _too_little(tender, currency)
    if sum(it.due_minor + it.change_minor for it in settled) > money.INT64_MAX:
        what = "the order's tenders are more than 64 bits can hold"
        return Refusal(RefusalReason.AMOUNT_TOO_LARGE, what)
    return tuple(tender for tender in settled if tender.amount_minor or tender.tip_minor)


def _share(wanted: Sequence[Tender], total_minor: int, store: Store) -> _Shares:
    amounts = [tender.amount_minor or 0 for tender in wanted]
    left_minor = total_minor - sum(amounts)
    unnamed = [n for n, tender in enumerate(wanted) if tender.amount_minor is None]
    cash = [n for n, tender in enumerate(wanted) if tender_types.of_kind(tender.kind).is_cash]
    filler = next(iter(unnamed or cash[-1:]), None)
    if filler is not None:
        amounts[filler] += left_minor
    return _Shares(
        amounts=tuple(amounts),
        left_minor=left_minor,
        filler=filler,
        rounded=filler if filler in cash else next(iter(cash[-1:]), None),
        rounding_minor=_rounding(sum(amounts[n] for n in cash), store),
    )


def _rounding(due_minor: int, store: Store) -> int:
    """Return what rounds an amount to one that is payable in coins."""
    step = store.cash_rounding_step_minor
    if step <= 1:
        return 0
    return money.divide_round(due_minor, step, store.cash_rounding_mode) * step - due_minor


def _is_short(wanted: Sequence[Tender], shares: _Shares) -> bool:
    """Tell whether the tenders are not the total, or are negative."""
    unnamed = sum(tender.amount_minor is None for tender in wanted)
    named = [
        minor for it in wanted for minor in (it.amount_minor or 0, it.given_minor, it.tip_minor)
    ]
    if unnamed > 1 or min((*named, *shares.amounts), default=0) < 0:
        return True
    if shares.filler is None or unnamed:
        return shares.filler is None and shares.left_minor != 0
    is_more = shares.left_minor < 0 and not wanted[shares.filler].given_minor
    return not is_more and shares.left_minor not in {0, -shares.rounding_minor}


def _settled(place: int, tender: Tender, shares: _Shares) -> Tender:
    amount_minor, given_minor = shares.amounts[place], tender.given_minor
    rounding_minor = shares.rounding_minor if place == shares.rounded else 0
    change_minor = -given_minor  # only cash is given
    if tender_types.of_kind(tender.kind).is_cash:
        due_minor = amount_minor + tender.tip_minor + rounding_minor
        named_minor = tender.amount_minor or 0
        given_minor = given_minor or (named_minor if named_minor > amount_minor else due_minor)
        change_minor = given_minor - due_minor
    return msgspec.structs.replace(
        tender,
        amount_minor=amount_minor,
        given_minor=given_minor,
        change_minor=change_minor,
        rounding_minor=rounding_minor,
    )


def _not_the_total(wanted: Sequence[Tender], total_minor: int, currency: str) -> Refusal:
    named = sum(tender.amount_minor or 0 for tender in wanted)
    unnamed = sum(tender.amount_minor is None for tender in wanted)
    what = (
        f"the tenders name {named} of {total_minor} minor units of {currency}"
        f" and leave {unnamed} open; together they must be the total, none negative;"
        " only cash may be more, and gives change"
    )
    return Refusal(RejectReason.TENDERS_DO_NOT_COVER_TOTAL, what)


def _too_little(tender: Tender, currency: str) -> Refusal:
    what = (
        f"{tender.given_minor} minor units of {currency} in cash do not pay {tender.due_minor}"
        if tender_types.of_kind(tender.kind).is_cash
        else "only cash is given"
    )
    return Refusal(RejectReason.TENDERS_DO_NOT_COVER_TOTAL, what)
