"""The TUI as a process: entry, terminal, themes, remembered state, the list of screens."""
