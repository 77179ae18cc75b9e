"""The journal of documents other than orders: returns, transfers, counts, shifts, purchase orders.

It has the shape of the order log, so the same code claims, publishes and tells its story. Keys come
from one growing sequence; rows are only appended.
"""

import msgspec
import sqlalchemy as sa

from internal.infra import columns, db
from internal.kernel import errors, facts

DOCUMENTS = sa.Table(
    "documents",
    db.METADATA,
    columns.growing_key("document_key"),
    columns.code("kind"),
    columns.ident("merchant_id"),
    columns.ident("document_id"),
    columns.code("state"),
    columns.number("version"),
    columns.number("business_day"),
    columns.number("at_us"),
    columns.number("updated_at_us"),
    sa.UniqueConstraint("merchant_id", "kind", "document_id", name="documents_by_merchant"),
)

JOURNAL = sa.Table(
    "journal",
    db.METADATA,
    columns.number("document_key", primary_key=True),
    columns.code("stage", primary_key=True),
    columns.code("event_id", primary_key=True, chars_max=96),
    columns.number("version"),
    columns.code("state"),
    columns.words("reason", 64),
    columns.document("fact"),
    columns.number("digest"),
    columns.number("actor_key", nullable=True),
    columns.words("made_by", 32),
    columns.optional_ident("request_id"),
    columns.number("at_us"),
    info=columns.APPEND_ONLY,
)

RECORDED = "RECORDED"
"""The state of a document that is complete when it is made."""
FIRST_VERSION = 1


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is complete when it is made."""

    kind: str
    merchant_id: str
    document_id: str
    """The merchant's name for it, unique for its kind."""
    business_day: int
    at_us: int


def add_document(connection: sa.Connection, document: Document) -> int | None:
    """Add a document and return its key; None if one of its name is there already.

    Raises:
        Conflict: another instance adds the same one; repeat the whole transaction.
    """
    t = DOCUMENTS.c
    query = sa.select(t.document_key).where(
        t.merchant_id == document.merchant_id,
        t.kind == document.kind,
        t.document_id == document.document_id,
    )
    if connection.execute(query).scalar() is not None:
        return None
    row = msgspec.structs.asdict(document)
    row |= {"state": RECORDED, "version": FIRST_VERSION, "updated_at_us": document.at_us}
    try:
        added = connection.execute(DOCUMENTS.insert().values(row)).inserted_primary_key
    except sa.exc.IntegrityError as error:
        raise errors.Conflict("another instance adds the same document") from error
    return int(added[0]) if added else 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the journal: what became of a document, by whom, and through what."""

    document_key: int
    stage: str
    event_id: str
    version: int
    state: str
    reason: str
    """In UPPER_SNAKE: no text of a person."""
    fact: str
    """JSON."""
    actor_key: int
    made_by: str
    """The program through which it came, such as "souk stock"."""
    request_id: str
    at_us: int


def log(connection: sa.Connection, entry: Entry) -> None:
    """Append a row.

    Raises:
        IntegrityError: the event of this document is logged already.
    """
    row = msgspec.structs.asdict(entry) | {"digest": facts.digest(entry.fact.encode())}
    connection.execute(JOURNAL.insert().values(row))
