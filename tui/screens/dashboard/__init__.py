"""The dashboard: health, memory, the last jobs, and the next step."""
