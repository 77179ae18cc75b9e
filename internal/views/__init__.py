"""Read models across rooms: an order with all that belongs to it, and its timeline."""
