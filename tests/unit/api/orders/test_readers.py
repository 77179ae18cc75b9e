"""The readers ask the database with the limit that calls have."""

from pathlib import Path

import pytest

from internal.api.orders import readers
from internal.infra import bulk, db
from internal.infra.sqlite import database as sqlite
from internal.kernel import errors
from internal.kernel.states import OrderState
from internal.orders import store
from internal.views import order_list
from tests.unit.views import test_order_list as listing_rows

RARE = order_list.Filter(states=(OrderState.REJECTED,))


async def test_a_listing_beyond_its_limit_is_ended(tmp_path: Path) -> None:
    database = sqlite.SqliteDatabase(tmp_path / "souk.db")
    await database.write(db.METADATA.create_all)
    orders = [listing_rows.EMPTY | {"order_id": f"o-{n}", "placed_at_us": n} for n in range(3_000)]
    rows = [[order[name] for name in listing_rows.NAMES] for order in orders]
    await database.write(lambda c: bulk.insert(c, store.ORDERS, listing_rows.NAMES, rows))
    with pytest.raises(errors.TooMuchAtOnce):
        await readers.DatabaseOrders(database, 0.0).list_page("m-1", RARE, None, 10)
    listing = await readers.DatabaseOrders(database, 60.0).list_page("m-1", RARE, None, 10)
    assert listing.orders == ()
    assert listing.next_page is not None
    await database.close()
