"""Dialogs that say what a key is about to do, and how it went."""
