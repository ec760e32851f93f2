"""Maintainers' tool: resolve ``recipes/wheels/*.in`` anew and write the locks, hashes of both architectures
in each.

    python -m sandbox.bundle.relock [NAME…]

It asks the package index for the newest versions; nothing that users run ever does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.bundle.parts.recipe import RECIPES
from sandbox.bundle.parts.wheel_layers import MACHINES, platform_options

NEVER = {"pip", "setuptools"}
"""Packages left out of the locks: some packages name them as dependencies, none needs them at run time."""


def resolve_wheels(requirements: Path, architecture: str) -> dict[tuple[str, str], str]:
    """Return (name, version) of everything that would be installed, with its wheel's hash. pip resolves for
    the image's Python and ``architecture``; nothing is downloaded into this machine's Python.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        subprocess.run(
            [
                # A dry run with a report is pip's own resolver; a resolver of ours would disagree with it.
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
                *("--target", "unused", "--report", report.name, "--requirement", str(requirements)),
                *platform_options(architecture),
            ],
            check=True,
        )
        installed = json.loads(Path(report.name).read_bytes())["install"]
    return {
        # Names in the form that the lock is sorted by: packages write theirs with capitals or underscores.
        (item["metadata"]["name"].lower().replace("_", "-"), item["metadata"]["version"]): item[
            "download_info"
        ]["archive_info"]["hashes"]["sha256"]
        for item in installed
    }


def lock_text(requirements: Path) -> str:
    """Return the text of the lock, sorted, so that a new lock shows its changes only."""
    hashes: dict[tuple[str, str], set[str]] = {}
    # One lock for both: pip takes the hash that fits, and pure Python wheels have one for both.
    for architecture in MACHINES:
        for package, digest in resolve_wheels(requirements, architecture).items():
            hashes.setdefault(package, set()).add(digest)
    lines = [
        " \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{digest}" for digest in sorted(digests))])
        for (name, version), digests in sorted(hashes.items())
        if name not in NEVER
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the locks of the requirements named on the command line, or of all."""
    chosen = sys.argv[1:]
    for requirements in sorted((RECIPES / "wheels").glob("*.in")):
        if not chosen or requirements.stem in chosen:
            requirements.with_suffix(".lock").write_text(lock_text(requirements), "utf-8")
            print(requirements.stem)


if __name__ == "__main__":
    main()
