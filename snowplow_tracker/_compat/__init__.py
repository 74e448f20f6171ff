"""What exists only because 1.1.0 had it."""
