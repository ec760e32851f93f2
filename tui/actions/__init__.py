"""What a screen can change: an action, its run in a thread, and the board of its steps."""
