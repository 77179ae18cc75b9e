"""Stores, products and tax rates: the goods, where they are sold and how they are taxed."""
