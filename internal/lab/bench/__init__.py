"""Benchmarks of the embedded engine, and what all benchmarks share."""
