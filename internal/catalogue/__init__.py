"""Stores, products and tax rates: what can be sold, where, and how it is taxed."""
