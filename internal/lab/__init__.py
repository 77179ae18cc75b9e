"""Instruments: load, demo, benchmarks and chaos. Not part of the deployed wheel."""
