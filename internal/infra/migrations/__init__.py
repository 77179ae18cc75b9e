"""Alembic's revisions, one change each, able to run again after an interruption."""
