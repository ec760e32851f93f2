"""The driver for a cluster in one Docker container, made by kind."""
