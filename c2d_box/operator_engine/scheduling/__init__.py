"""Which job may start next, and how many are worked on at once."""
