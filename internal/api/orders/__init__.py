"""The order service: one file for each call, and the two directions of the wire."""
