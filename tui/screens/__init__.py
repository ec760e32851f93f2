"""A module for each screen, or a folder where it has several panes, dialogs or actions of its own."""
