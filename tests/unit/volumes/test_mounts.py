from __future__ import annotations

from pathlib import Path

from c2d_box.volumes.mounts import Mount, mounts

TEXT = r"""27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
90 27 7:0 / /home/a\040b/jobs/x\134y/mnt rw,nosuid - ext4 /dev/loop0 rw
"""


def test_mountinfo_is_read_with_blanks_in_paths() -> None:
    assert mounts(TEXT) == [
        Mount(Path("/"), "/dev/vda"),
        Mount(Path("/home/a b/jobs/x\\y/mnt"), "/dev/loop0"),
    ]
