"""The order service: its calls, and the two directions between wire and facts."""
