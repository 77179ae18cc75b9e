"""A document is added once under its name."""

import msgspec
import sqlalchemy as sa

from internal.pipeline import journal

DELIVERY = journal.Document(
    kind="DELIVERY", merchant_id="m-1", document_id="DN-1", business_day=20260301, at_us=1
)


def test_a_document_is_added_once(any_database: sa.Connection) -> None:
    others = [msgspec.structs.replace(DELIVERY, **other) for other in OTHERS]
    keys = [journal.add_document(any_database, it) for it in (DELIVERY, *others)]
    assert keys == sorted(set(keys), key=keys.index)
    assert None not in keys
    assert journal.add_document(any_database, DELIVERY) is None


OTHERS = ({"merchant_id": "m-2"}, {"document_id": "DN-2"}, {"kind": "COUNT"})
