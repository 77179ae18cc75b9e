"""Sample data for an empty database."""
