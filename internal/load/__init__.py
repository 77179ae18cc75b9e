"""Clients that put load on the gRPC port: demo, load runs, benchmarks."""
