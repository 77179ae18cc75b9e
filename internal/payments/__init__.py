"""Payments and their attempts, and the gateway behind a port."""
