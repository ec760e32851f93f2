"""The TUI as a process: terminal, themes, remembered state, table of screens, port to the application."""
