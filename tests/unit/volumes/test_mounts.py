from __future__ import annotations

from pathlib import Path

from c2d_box.volumes.mounts import MountEntry, list_mounts

TEXT = r"""27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
90 27 7:0 / /home/a\040b/jobs/x\134y/mnt rw,nosuid - ext4 /dev/loop0 rw
"""


def test_mountinfo_is_read_with_blanks_in_paths() -> None:
    assert list_mounts(TEXT) == [
        MountEntry(Path("/"), "/dev/vda"),
        MountEntry(Path("/home/a b/jobs/x\\y/mnt"), "/dev/loop0"),
    ]
