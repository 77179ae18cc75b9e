"""A bus with Pulsar's semantics in one SQLite file: `bus` is the way in, the rest are its parts."""
