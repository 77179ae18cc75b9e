"""Faults on real engines, and the proof that no order was lost or doubled by them."""
