"""Everything a box can do, one typed generator per verb. CLI and TUI render the events; neither holds
logic.
"""
