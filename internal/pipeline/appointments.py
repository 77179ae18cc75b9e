"""Appointments: what must be looked at again at a stated time, whatever the backlog is.

They are taken by lease, so that two processes never keep the same one at once.
"""

import sqlalchemy as sa

from internal.infra import columns, db

APPOINTMENTS = sa.Table(
    "appointments",
    db.METADATA,
    columns.code("kind", primary_key=True),
    columns.code("subject", primary_key=True, chars_max=200),
    columns.number("shard"),
    columns.number("due_at_us"),
    columns.number("leased_until_us", nullable=True),
    columns.number("tries", default=0),
    columns.words("reason", 64),
    sa.Index("appointments_due", "shard", "due_at_us"),
)
