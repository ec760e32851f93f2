"""Parameters of requests: where they stand in a request, and the rules that each has to meet."""
