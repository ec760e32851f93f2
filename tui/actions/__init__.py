"""Changes that a screen can make: an action, its run in a thread, and the board of its steps."""
