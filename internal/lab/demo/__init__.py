"""The demo run: varied orders, a live table, every invariant checked."""
