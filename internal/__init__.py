"""Souk's rooms; imports between them only go downstairs (see docs/architecture.md)."""
