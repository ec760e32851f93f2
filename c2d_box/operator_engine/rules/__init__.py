"""The engine's decisions as pure functions: from an observation of a job to the actions that are due.

Nothing here asks a network, a database or a clock, and nothing here imports the rest of the engine.
"""
