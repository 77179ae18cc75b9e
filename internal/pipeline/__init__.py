"""The six steps that every stage takes, for facts of any noun."""
