"""Recipes of the bundle's parts: programs, layers and images, and how each is made."""
