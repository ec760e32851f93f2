"""One folder per screen: screen, widgets, styles."""
