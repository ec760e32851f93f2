"""The TUI as a process: terminal, themes, remembered state, and the port to the application."""
