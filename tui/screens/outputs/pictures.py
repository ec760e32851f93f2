"""Pictures in any terminal with colours: two pixels per cell, the upper half block over its background.

The bytes come from an algorithm nobody has to trust: only three formats are decoded, and nothing large.
"""

from __future__ import annotations

import io

from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style

from tui.text import plain

PICTURES = (".png", ".jpg", ".jpeg", ".gif")
FORMATS = ("PNG", "JPEG", "GIF")
MOST_PIXELS = 40_000_000
HALF = "▀"


def picture(content: bytes) -> RenderableType:
    """The image as cells; a sentence where it cannot be decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                return plain(f"a picture of {image.width} × {image.height}: s saves it")
            return _Cells(_flat(image))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return plain("no picture this terminal could show: s saves it")


def _flat(image: object) -> object:
    """On white: charts are drawn for paper."""
    from PIL import Image

    assert isinstance(image, Image.Image)
    image = image.convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image)
    return paper.convert("RGB")


class _Cells:
    def __init__(self, image: object) -> None:
        self._image = image

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from PIL import Image

        assert isinstance(self._image, Image.Image)
        width = min(options.max_width, self._image.width)
        lines = max(1, round(width * self._image.height / self._image.width / 2))
        small = self._image.resize((width, lines * 2), Image.Resampling.LANCZOS)
        for line in range(lines):
            for column in range(width):
                upper, lower = (small.getpixel((column, line * 2 + half)) for half in (0, 1))
                assert isinstance(upper, tuple) and isinstance(lower, tuple)
                style = Style(color=Color.from_rgb(*upper[:3]), bgcolor=Color.from_rgb(*lower[:3]))
                yield Segment(HALF, style)
            yield Segment.line()
