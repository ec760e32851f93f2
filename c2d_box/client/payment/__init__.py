"""Prices, quotes, limits of spending, and the transactions that pay for a job or a download."""
