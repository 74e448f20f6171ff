"""A small web shop that tracks what its visitors do."""
