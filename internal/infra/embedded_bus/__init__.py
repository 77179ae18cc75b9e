"""A bus with Pulsar's semantics in one SQLite file: `bus` is the public module."""
