"""The logs screen: all components in one stream."""
