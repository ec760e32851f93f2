"""Live data for screens: polling feeds, log streams, and what changed since the last look."""
