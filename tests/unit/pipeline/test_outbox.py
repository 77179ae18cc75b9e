"""Rows of the outbox are leased shard by shard, in their order, and stay until they are deleted."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.catalogue.messages import ProductsChanged
from internal.infra import settings
from internal.pipeline import outbox
from tests.support import mariadb

NOW_US, LEASE_US = 1_000, 100


def changed(merchant_id: str, version: int) -> ProductsChanged:
    return ProductsChanged(
        merchant_id=merchant_id, catalogue_version=version, skus=("tea",), at_us=NOW_US
    )


SHARD = outbox.shard_of("m-1/catalogue")


def take(connection: sa.Connection, now_us: int = NOW_US, rows_max: int = 10) -> list[int]:
    """Take rows of the shard; return their keys."""
    rows = outbox.take(connection, SHARD, now_us, now_us + LEASE_US, rows_max)
    return [row.outbox_key for row in rows]


def test_a_fact_waits_with_its_name(any_database: sa.Connection) -> None:
    outbox.add(any_database, [changed("m-1", 1)], NOW_US)
    (row,) = outbox.take(any_database, SHARD, NOW_US, NOW_US + LEASE_US, 10)
    assert (row.subject, row.topic, row.created_at_us) == ("m-1/catalogue", "events", NOW_US)
    assert '"type":"ProductsChanged"' in row.fact
    assert len(row.event_id) == 64


def test_facts_have_names_of_their_own_that_last(any_database: sa.Connection) -> None:
    outbox.add(any_database, [changed("m-1", version) for version in (1, 2)], NOW_US)
    first = outbox.take(any_database, SHARD, NOW_US, NOW_US + LEASE_US, 10)
    again = outbox.take(any_database, SHARD, NOW_US + LEASE_US, NOW_US + 2 * LEASE_US, 10)
    assert [row.event_id for row in first] == [row.event_id for row in again]
    assert first[0].event_id != first[1].event_id


def test_one_relay_at_a_time_has_a_shard(any_database: sa.Connection) -> None:
    outbox.add(any_database, [changed("m-1", version) for version in (1, 2, 3)], NOW_US)
    first, second = take(any_database, rows_max=2)
    assert take(any_database) == take(any_database, NOW_US + LEASE_US - 1) == []
    assert take(any_database, NOW_US + LEASE_US) == [first, second, second + 1]


def test_a_lease_is_given_back_by_the_relay_that_has_it(any_database: sa.Connection) -> None:
    outbox.add(any_database, [changed("m-1", 1)], NOW_US)
    keys = take(any_database)
    outbox.give_back(any_database, keys, NOW_US + LEASE_US - 1)
    assert take(any_database) == []
    outbox.give_back(any_database, keys, NOW_US + LEASE_US)
    assert take(any_database) == keys


def test_what_was_sent_is_deleted_and_the_rest_stays(any_database: sa.Connection) -> None:
    assert (outbox.shards(any_database), outbox.oldest_us(any_database)) == ([], None)
    outbox.add(any_database, [changed("m-1", 1)], NOW_US)
    outbox.add(any_database, [changed("m-1", 2), changed("m-2", 1)], NOW_US + 1)
    both = {SHARD, outbox.shard_of("m-2/catalogue")}
    assert set(outbox.shards(any_database)) == both
    assert len(both) == 2
    assert outbox.oldest_us(any_database) == NOW_US
    first, second = take(any_database)
    outbox.delete(any_database, [first])
    assert outbox.oldest_us(any_database) == NOW_US + 1
    assert take(any_database, NOW_US + LEASE_US) == [second]


@pytest.fixture
def server(
    mysql_server: mariadb.Server, mysql_books: settings.MysqlSettings
) -> Iterator[sa.Engine]:
    engine = mysql_server.engine(mysql_books.database)
    with engine.begin() as connection:
        mariadb.clear(connection)
    yield engine
    engine.dispose()


def test_a_row_that_is_committed_late_is_found(server: sa.Engine) -> None:
    """Its key is smaller than that of a row that was sent and deleted before."""
    with server.connect() as late, server.connect() as relay:
        late.begin()
        outbox.add(late, [changed("m-1", 1)], NOW_US)
        relay.begin()
        outbox.add(relay, [changed("m-1", 2)], NOW_US)
        relay.commit()
        (sent,) = take(relay)
        outbox.delete(relay, [sent])
        relay.commit()
        late.commit()
        (found,) = take(relay)
        assert found < sent


def test_two_relays_at_the_same_moment(server: sa.Engine) -> None:
    """The second one neither waits for the first nor takes the rows behind those it locks."""
    with server.connect() as first, server.connect() as second:
        first.begin()
        outbox.add(first, [changed("m-1", version) for version in (1, 2, 3)], NOW_US)
        first.commit()
        assert len(take(first, rows_max=2)) == 2
        assert take(second) == []
        first.commit()
        assert take(second) == []
