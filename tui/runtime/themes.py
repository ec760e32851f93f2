"""The themes: light, dark, high contrast, and no colour. No meaning is carried by colour alone: marks and
words say the same.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="c2d-dark",
    primary="#4fb3bf",
    secondary="#2f7f8a",
    accent="#ffb454",
    warning="#e6b450",
    error="#f07178",
    success="#7fd962",
    foreground="#d6dbe0",
    background="#0f151a",
    surface="#131b21",
    panel="#1b262e",
)
LIGHT = Theme(
    name="c2d-light",
    primary="#00697a",
    secondary="#3d8a97",
    accent="#a14b00",
    warning="#8a5a00",
    error="#b3261e",
    success="#1b6e20",
    foreground="#1a1f24",
    background="#f7f8f9",
    surface="#ffffff",
    panel="#e6eaed",
    dark=False,
)
HIGH_CONTRAST = Theme(
    name="c2d-high-contrast",
    primary="#ffffff",
    secondary="#ffff00",
    accent="#ffff00",
    warning="#ffff00",
    error="#ff8080",
    success="#00ff7f",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    # Full opacity: dimmed text would undo the contrast.
    text_alpha=1.0,
)
# Shades of grey only: what colours say elsewhere, marks and words say here.
NO_COLOUR = Theme(
    name="c2d-no-colour",
    primary="#b0b0b0",
    secondary="#909090",
    accent="#ffffff",
    warning="#e0e0e0",
    error="#ffffff",
    success="#e0e0e0",
    foreground="#e0e0e0",
    background="#000000",
    surface="#000000",
    panel="#202020",
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT, HIGH_CONTRAST, NO_COLOUR)}
