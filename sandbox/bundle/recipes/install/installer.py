"""Installs c2d-box from the bundle file that this is part of: `python3 FILE [--into FOLDER]`.

Needs Python 3.11 or newer and nothing else: no network, no compiler, no root.
"""

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def main() -> None:
    """Install the program, then let it load the bundle from the same file."""
    options = argparse.ArgumentParser(prog="python3 FILE", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--into", type=Path, default=Path.home() / ".local" / "share" / "c2d-box-program")
    options.add_argument("--no-load", action="store_true", help="install only; do not unpack the bundle")
    chosen = options.parse_args()
    file = Path(sys.argv[0]).absolute()
    # Python runs a zip archive that has a __main__ module, and this is that module.
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        refuse_unfit(manifest)
        with tempfile.TemporaryDirectory() as scratch:
            unpack(archive, manifest, Path(scratch))
            install(Path(scratch), chosen.into)
    program = chosen.into / "bin" / "c2d-box"
    if not chosen.no_load:
        # The installed program loads: it checks every part and knows the cache's layout.
        subprocess.run([program, "bundle", "load", file], check=True)
    print(f"c2d-box {manifest['c2dBox']} is installed. Next: {program} demo")


def refuse_unfit(manifest: dict[str, Any]) -> None:
    """End with a code where the wheels cannot run here. Nothing was written by then."""
    here = ARCHITECTURES.get(platform.machine().lower(), platform.machine())
    if here != manifest["architecture"]:
        there = manifest["architecture"]
        sys.exit(f"C2D-BUNDLE-FILE-ARCHITECTURE: this file is for {there}; this machine is {here}.")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    # Compiled wheels fit one minor version only; pip, which would say so, is not used.
    if sys.version_info < (3, 11) or python != manifest["python"]:
        sys.exit(
            f"C2D-BUNDLE-FILE-PYTHON: the wheels in this file are for Python {manifest['python']}, "
            f"this is {python}. Run it with python{manifest['python']}."
        )
    if not manifest["wheels"]:
        sys.exit(
            "C2D-BUNDLE-FILE-NO-WHEELS: this file was saved without wheels; install c2d-box another way."
        )


def unpack(archive: zipfile.ZipFile, manifest: dict[str, Any], folder: Path) -> None:
    """Write the wheels below ``folder``, each with its hash checked: copies on sticks and networks break."""
    for wheel in manifest["wheels"]:
        data = archive.read(f"wheels/{wheel['name']}")
        if hashlib.sha256(data).hexdigest() != wheel["sha256"]:
            sys.exit(
                f"C2D-BUNDLE-FILE-DAMAGED: {wheel['name']} is not what was written; copy the file again."
            )
        (folder / wheel["name"]).write_bytes(data)


def install(wheels: Path, into: Path) -> None:
    """Unpack the wheels into a virtual environment of their own. Without pip, because Debian's Python comes
    without it.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", into], check=True)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = into / "lib" / f"python{python}" / "site-packages"
    for wheel in sorted(wheels.glob("*.whl")):
        # A wheel is a zip archive of what belongs into site-packages (PEP 427).
        with zipfile.ZipFile(wheel) as contents:
            contents.extractall(packages)
    # Files of other places; purelib and platlib are site-packages too. Scripts are not needed.
    for data in packages.glob("*.data"):
        for kind in ("purelib", "platlib"):
            for item in sorted((data / kind).glob("*")):
                item.rename(packages / item.name)
    program = into / "bin" / "c2d-box"
    # Console scripts are made by installers; without pip, the program's is written here.
    text = f"#!{into}/bin/python\nimport sys\nfrom sandbox.cli import main\nsys.exit(main())\n"
    program.write_text(text)
    program.chmod(0o755)


main()
