"""The transactions of the stages: each crosses several nouns and is named as in functions/."""
