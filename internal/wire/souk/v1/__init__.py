"""Generated from proto/ by `scripts/proto generate`: never edited by hand."""
