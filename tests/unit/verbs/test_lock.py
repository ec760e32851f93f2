"""One change of a box at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from c2d_box.errors import StateProblem
from sandbox.box_lock import hold_box_lock
from sandbox.home import BoxHome

HOLD = "import sys; from pathlib import Path\n"
HOLD += "from sandbox.home import BoxHome; from sandbox.box_lock import hold_box_lock\n"
HOLD += "with hold_box_lock(BoxHome(Path(sys.argv[1])), 'up'): print('held', flush=True); sys.stdin.read()"


def test_a_second_change_is_told_who_holds_the_box(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(StateProblem, match=f"C2D-BOX-BUSY.*pid {holder.pid}"),
            hold_box_lock(BoxHome(tmp_path), "down"),
        ):
            pass
        holder.kill()
    with hold_box_lock(BoxHome(tmp_path), "down"):
        assert str(os.getpid()) in (tmp_path / "lock").read_text()
