"""The order service: one file per call, and the two directions between wire and facts."""
