"""Widgets that several screens share: header, panes, tables, logs, the tour."""
