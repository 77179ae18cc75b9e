"""Returns: goods that come back, and what they bring their customers."""
