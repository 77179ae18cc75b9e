"""Benchmarks of the full engine: on Pulsar and a MySQL-protocol database."""
