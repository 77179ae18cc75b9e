"""Pure vocabulary: money, ids, clock, errors, states. Imports nothing of Souk."""
