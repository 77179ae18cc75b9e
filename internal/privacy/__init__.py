"""Private values: what must be erasable, apart from all that is hashed or only appended."""
