"""Limits on what strangers may ask for: request rates, waits for orders, log followers, shared calls."""
