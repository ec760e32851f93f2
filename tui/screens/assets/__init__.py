"""The assets screen, the screen of one asset, and how assets are published, edited and ended."""
