"""The services over HTTP as a client sees them, and their error answers."""
