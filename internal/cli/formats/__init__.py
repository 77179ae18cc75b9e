"""Formats of files as other programs write them: encodings, CSV, JSON. Must not know a noun."""
