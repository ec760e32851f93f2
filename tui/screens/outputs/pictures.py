"""Pictures in any terminal with colours: two pixels per cell, the upper half block over its background.

The bytes come from an algorithm that is not trusted: only three formats are decoded, and nothing large.
"""

from __future__ import annotations

import io

from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style

from tui.widgets.text import plain_text

PICTURES = (".png", ".jpg", ".jpeg", ".gif")
FORMATS = ("PNG", "JPEG", "GIF")
# Pillow's own limit only warns at 89 million pixels, and refuses at twice that.
MOST_PIXELS, MOST_SIDE = 16_000_000, 20_000
"""Limits of the picture itself: 64 MB decoded. A decoder takes minutes for millions of lines, however short
they are.
"""
MOST_LINES, MOST_COLUMNS = 200, 400
"""Limits of the cells that are drawn: a picture one pixel wide would have millions of lines."""
MOST_SCANS = 64
"""Limit of scans of a progressive JPEG: each is a pass over all pixels and takes twenty bytes of file."""
HALF = "▀"
# JPEG's start-of-scan marker (SOS, ITU T.81).
_SCAN = b"\xff\xda"


def draw_picture(content: bytes) -> RenderableType:
    """Return the image as cells, or a sentence if it cannot be decoded. ``Image.open`` reads the header only,
    so the limits hold before any pixel is decoded.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # Explicit formats: pillow would otherwise try every decoder it has on the bytes.
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS or max(image.size) > MOST_SIDE:
                return plain_text(f"a picture of {image.width} × {image.height}: s saves it")
            # Counts the marker in all bytes, so it may count too many, never too few.
            if image.format == "JPEG" and content.count(_SCAN) > MOST_SCANS:
                return plain_text("a picture of very many scans: s saves it")
            return _PictureCells(_drawable_image(image))
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        MemoryError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ):
        return plain_text("no picture this terminal could show: s saves it")


def fitted_size(width: int, height: int, columns: int) -> tuple[int, int]:
    """Return columns and lines of cells for a picture of this size; both are bounded, its shape is kept as
    far as the bounds allow.
    """
    columns = max(1, min(columns, width, MOST_COLUMNS))
    lines = max(1, round(columns * height / width / 2))
    if lines <= MOST_LINES:
        return columns, lines
    return max(1, round(MOST_LINES * 2 * width / height)), MOST_LINES


def _drawable_image(image: object) -> object:
    """Scale the image down to what can be drawn, on white: charts are drawn for paper."""
    from PIL import Image

    assert isinstance(image, Image.Image)
    columns, lines = fitted_size(image.width, image.height, MOST_COLUMNS)
    # Two pixels per line of cells, and never more than the image has.
    size = (columns, min(lines * 2, image.height))
    # Palette images are converted first: pillow resizes them by nearest neighbour only.
    scalable = image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGBA")
    # ``reducing_gap`` shrinks by whole factors first: a large picture takes much less time.
    small = scalable.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0).convert("RGBA")
    paper = Image.new("RGBA", small.size, "white")
    paper.alpha_composite(small)
    return paper.convert("RGB")


class _PictureCells:
    """Renders an image as half-block cells, fitted to the console's width at drawing time."""

    def __init__(self, image: object) -> None:
        self._image = image

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from PIL import Image

        assert isinstance(self._image, Image.Image)
        width, lines = fitted_size(self._image.width, self._image.height, options.max_width)
        small = self._image.resize((width, lines * 2), Image.Resampling.LANCZOS)
        for line in range(lines):
            # Cell by cell: each has two colours of its own, so there is nothing to join.
            for column in range(width):
                upper, lower = (small.getpixel((column, line * 2 + half)) for half in (0, 1))
                assert isinstance(upper, tuple) and isinstance(lower, tuple)
                style = Style(color=Color.from_rgb(*upper[:3]), bgcolor=Color.from_rgb(*lower[:3]))
                yield Segment(HALF, style)
            yield Segment.line()
