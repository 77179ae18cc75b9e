"""The invariants behind `souk check`: every room's tables agree, alone and together."""
