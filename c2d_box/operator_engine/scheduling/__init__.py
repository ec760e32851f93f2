"""Scheduling: the queue decides which job may start next; limits bound how many are reconciled at once."""
