"""`souk orders submit --keep-open`, and the forms of a tender that `souk orders pay` reads."""

import pytest
import typer

from internal.cli import order_drafts
from internal.wire.souk.v1 import order_pb2

WANTED = order_drafts.Wanted(store="berlin", line=["HAM=0.750"])


def test_an_order_that_is_kept_open_needs_no_tender() -> None:
    placing = order_drafts.Placing(keep_open=True, hold_minutes=90)
    draft = order_drafts.order_of(WANTED, placing)
    assert draft.on_decline == order_pb2.ON_DECLINE_KEEP_OPEN
    assert (draft.hold.seconds, len(draft.tenders)) == (5_400, 0)


def test_another_order_needs_one() -> None:
    with pytest.raises(typer.BadParameter, match="--pay"):
        order_drafts.order_of(WANTED, order_drafts.Placing())


def test_a_tender_is_read_as_in_an_order() -> None:
    tender = order_drafts.tender_of("cash:20=12.50", "EUR")
    assert (tender.amount.units, tender.cash.given.units) == (12, 20)
    with pytest.raises(typer.BadParameter):
        order_drafts.tender_of("shells=3", "EUR")
