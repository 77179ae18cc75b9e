"""The invariants behind `souk check`: the tables of every package agree, alone and together."""
