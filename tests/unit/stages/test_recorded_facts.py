"""A message's fact is trusted only where its bytes are those of the log; else the log is read."""

import msgspec
import pytest
import sqlalchemy as sa

from internal.kernel import errors, facts
from internal.orders import messages, store
from internal.stages import recorded_facts
from tests.support import shop, staged_orders


@pytest.fixture
def line(any_database: sa.Connection) -> staged_orders.StagedOrders:
    shop.open_for_business(any_database)
    return staged_orders.StagedOrders(any_database)


@pytest.fixture
def accepted(line: staged_orders.StagedOrders) -> messages.OrderAccepted:
    (fact,) = line.step(shop.placed("o"))
    assert isinstance(fact, messages.OrderAccepted)
    return fact


@pytest.fixture
def log_reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    reads: list[object] = []
    true_find = store.find_claims

    def find_claims(
        connection: sa.Connection, claims: list[store.Claim]
    ) -> dict[store.Claim, tuple[int, messages.Fact]]:
        reads.extend(claims)
        return true_find(connection, claims)

    monkeypatch.setattr(store, "find_claims", find_claims)
    return reads


def read(
    connection: sa.Connection, fact: messages.OrderAccepted, raw: bytes
) -> dict[int, messages.OrderAccepted]:
    with staged_orders.transaction(connection):
        orders = recorded_facts.lock(connection, [fact])
        claimed = [recorded_facts.Claimed(fact, raw)]
        return recorded_facts.facts_of(
            connection, list(orders.values()), claimed, messages.OrderAccepted
        )


def test_the_bytes_of_the_log_save_reading_it(
    line: staged_orders.StagedOrders,
    accepted: messages.OrderAccepted,
    log_reads: list[object],
) -> None:
    found = read(line.connection, accepted, facts.encode(accepted))
    assert found == {accepted.order_key: accepted}
    assert log_reads == []


def test_other_bytes_are_not_trusted(
    line: staged_orders.StagedOrders,
    accepted: messages.OrderAccepted,
    log_reads: list[object],
) -> None:
    cheaper = msgspec.structs.replace(accepted, total_minor=1)
    found = read(line.connection, cheaper, facts.encode(cheaper))
    assert found == {accepted.order_key: accepted}
    assert len(log_reads) == 1


def test_blanks_in_a_message_cost_a_look_at_the_log_and_no_more(
    line: staged_orders.StagedOrders, accepted: messages.OrderAccepted
) -> None:
    spaced = msgspec.json.format(facts.encode(accepted), indent=1)
    assert read(line.connection, accepted, spaced) == {accepted.order_key: accepted}


@pytest.mark.parametrize("change", [{"order_key": 99}, {"merchant_id": "m-2"}, {"order_id": "p"}])
def test_an_order_that_is_not_recorded_so_is_poison(
    line: staged_orders.StagedOrders, accepted: messages.OrderAccepted, change: dict[str, object]
) -> None:
    other = msgspec.structs.replace(accepted, **change)
    with pytest.raises(errors.Poison, match="is not recorded under the key"):
        read(line.connection, other, facts.encode(other))
