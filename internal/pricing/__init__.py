"""Prices orders: from lines and a catalogue to totals, with every cent explained. Pure."""
