"""Previews of results that were made to freeze whoever looks at them: the cursor only has to rest there."""

from __future__ import annotations

import io
import json
import random
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from tui.screens.outputs.pictures import fitted_size
from tui.screens.outputs.preview import draw_preview

ROOT = Path(__file__).parents[2]
_SECONDS = 8.0


def png(width: int, height: int, depth: int = 1) -> bytes:
    """A picture of one colour, whose pixels take next to nothing of its bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (width * depth + 7) // 8)
    body = b"".join(packer.compress(row * 1000) for _ in range(height // 1000))
    body += packer.compress(row * (height % 1000)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"," + struct.pack(
        "<HHHHB", 0, 0, width, height, 0
    ) + b"\x02\x01\x04\x00;"  # fmt: skip


def jpeg_of_many_scans() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (3900, 3900)).save(buffer, "JPEG", progressive=True, quality=10)
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * 300 + content[-2:]


def of_rows(width: int, rows: int, delimiter: str = ",") -> bytes:
    return "\n".join(delimiter.join("x" * width) for _ in range(rows)).encode()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "tall.png": lambda: png(1, 39_999_999),
    "tall-but-allowed.png": lambda: png(800, 20_000, 8),
    "wide.png": lambda: png(15_999_999, 1),
    "low.png": lambda: png(20_000, 1),
    "square.png": lambda: png(4000, 4000, 8),
    "bomb.png": lambda: png(6300, 6300),
    "huge.gif": lambda: gif(65_535, 65_535),
    "tall.gif": lambda: gif(1, 65_535),
    "scans.jpg": jpeg_of_many_scans,
    "cut.png": lambda: png(100, 100)[:60],
    "columns.csv": lambda: of_rows(1_000_000, 1),
    "columns.tsv": lambda: of_rows(50_000, 2, "\t"),
    "cell.csv": lambda: b'a,"' + b"x" * 1_900_000 + b'"\n',
    "quotes.csv": lambda: b'"' * 1_900_000,
    "rows.csv": lambda: b"a\n" * 900_000,
    "lines.txt": lambda: b"\n" * 1_900_000,
    "line.txt": lambda: b"x" * 1_900_000,
    "deep.json": lambda: b"[" * 200_000,
    "deep-closed.json": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "wide.json": lambda: json.dumps([[[]] * 400] * 400).encode(),
    "many.json": lambda: b"[" + b"[]," * 600_000 + b"0]",
    "digits.json": lambda: b"[" + b"9" * 1_900_000 + b"]",
    "half.json": lambda: b'{"\\ud800": "\\ud800"}',
    "large.json": lambda: b'"' + b"x" * (3 << 20) + b'"',
    "large.png": lambda: b"\x89PNG\r\n\x1a\n" + bytes(3 << 20),
    **{
        f"random-{kind}-{seed}.{kind}": partial(random.Random(seed).randbytes, 5_000)
        for kind in ("png", "gif", "jpg", "csv", "json", "txt")
        for seed in range(2)
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_result_is_drawn_at_once_or_not_at_all(name: str) -> None:
    content = HOSTILE[name]()
    console = Console(file=io.StringIO(), width=100)
    started = time.monotonic()
    console.print(draw_preview(name, content))
    assert time.monotonic() - started < _SECONDS
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue()
    assert len(drawn) < 3_000_000
    assert drawn.count("\n") < 12_000


@pytest.mark.parametrize(
    ("width", "height"), [(1, 39_999_999), (39_999_999, 1), (640, 480), (1, 1), (100, 65_535)]
)
def test_cells_of_a_picture_are_bounded_both_ways(width: int, height: int) -> None:
    columns, lines = fitted_size(width, height, 100)
    assert 1 <= columns <= 100
    assert 1 <= lines <= 200


def test_memory_of_all_previews_is_bounded() -> None:
    """In a process of its own, limited to what a small machine has to spare."""
    program = """
import io, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import resource
from rich.console import Console
from test_hostile_previews import HOSTILE
from tui.screens.outputs.preview import draw_preview
import PIL.Image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, make in HOSTILE.items():
    if name != "scans.jpg":  # its making takes memory of its own
        Console(file=io.StringIO(), width=100).print(draw_preview(name, make()))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    command = [sys.executable, "-W", "ignore", "-c", program, str(ROOT), str(Path(__file__).parent)]
    limit = (3 << 30, 3 << 30)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    assert done.returncode == 0, done.stderr[-800:]
    assert int(done.stdout) < 400, "MiB more than before"
