"""Verbs about the box itself: up, down, status, doctor, selftest, logs, environment variables."""
