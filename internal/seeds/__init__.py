"""What an empty database can be filled with."""
