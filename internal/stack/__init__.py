"""A real broker and a real database on this machine, and the functions deployed on them."""
