"""Verbs about jobs: quote, start, follow, logs, results, evidence."""
