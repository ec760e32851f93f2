"""A cluster in one Docker container, made by kind."""
