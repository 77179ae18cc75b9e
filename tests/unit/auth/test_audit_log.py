"""The audit log keeps every action of an operator, in order, and never fails because of a text."""

import msgspec
import sqlalchemy as sa

from internal.auth import audit_log

ACTION = audit_log.Action(
    at_us=5,
    actor="alex",
    action="PAYMENT_SUCCEEDED",
    merchant_id="m-1",
    order_id="o-1",
    subject=2,
    detail="CHARGE, ref-7",
    reason="seen in the gateway's ledger",
)


def test_an_action_is_read_as_it_was_written(any_database: sa.Connection) -> None:
    audit_log.log(any_database, [ACTION])
    assert audit_log.of_order(any_database, "m-1", "o-1") == [ACTION]


def test_actions_are_listed_in_the_order_in_which_they_were_written(
    any_database: sa.Connection,
) -> None:
    """Two actions may have the same instant, and a clock may be set back."""
    at = [7, 7, 3, 9]
    actions = [
        msgspec.structs.replace(ACTION, at_us=at_us, subject=number)
        for number, at_us in enumerate(at)
    ]
    audit_log.log(any_database, actions[:3])
    audit_log.log(any_database, actions[3:])
    assert audit_log.of_order(any_database, "m-1", "o-1") == actions


def test_an_order_of_the_same_id_belongs_to_another_merchant(any_database: sa.Connection) -> None:
    other_merchant = msgspec.structs.replace(ACTION, merchant_id="m-2")
    other_order = msgspec.structs.replace(ACTION, order_id="o-2")
    audit_log.log(any_database, [ACTION, other_merchant, other_order])
    assert audit_log.of_order(any_database, "m-2", "o-1") == [other_merchant]
    assert audit_log.of_order(any_database, "m-1", "o-3") == []


def test_actions_about_no_order_are_found_by_their_kind(any_database: sa.Connection) -> None:
    store, tax = (
        msgspec.structs.replace(ACTION, order_id="", action=it) for it in ("STORE_CHANGED", "TAX")
    )
    about_an_order = msgspec.structs.replace(ACTION, action="TAX")
    audit_log.log(any_database, [ACTION, about_an_order, tax, store])
    assert audit_log.of_kinds(any_database, "m-1", ["TAX", "STORE_CHANGED"]) == [tax, store]
    assert audit_log.of_kinds(any_database, "m-1", ["TAX"]) == [tax]
    assert audit_log.of_kinds(any_database, "m-2", ["TAX"]) == []


def test_texts_are_cut_to_their_columns(any_database: sa.Connection) -> None:
    """A server that checks lengths would refuse the row, and with it the operator's action."""
    long = msgspec.structs.replace(ACTION, actor="ä" * 70, detail="d" * 5_000, reason="r" * 5_000)
    audit_log.log(any_database, [long])
    (found,) = audit_log.of_order(any_database, "m-1", "o-1")
    assert found.actor == "ä" * 64
    assert found.detail == "d" * len(found.detail)
    assert 64 < len(found.detail) == len(found.reason) < 5_000


def test_no_actions_are_no_rows(any_database: sa.Connection) -> None:
    audit_log.log(any_database, [])
    count = sa.select(sa.func.count()).select_from(audit_log.OPERATOR_LOG)
    assert any_database.execute(count).scalar() == 0
