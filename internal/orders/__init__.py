"""The order: its facts, its states, its log."""
