"""Why an order ended without a sale: a code for machines, and a sentence for people.

The sentence is of Souk's own making and names products and amounts, never a person.
"""

import sqlalchemy as sa

from internal.infra import columns, db

ORDER_REFUSALS = sa.Table(
    "order_refusals",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.code("reason", chars_max=64),
    columns.words("explanation"),
)
