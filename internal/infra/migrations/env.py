"""Alembic's entry: runs the revisions on the connection that infra.migrate hands over."""

from alembic import context

from internal.infra import db

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=db.METADATA,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
