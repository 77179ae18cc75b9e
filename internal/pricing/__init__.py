"""From lines and a catalogue to totals, every cent explained. Pure."""
