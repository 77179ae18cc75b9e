"""The commands of `souk`, one group a file."""
