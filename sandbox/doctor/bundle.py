"""Checks whether the bundle is there, and whether it could be built here."""

from __future__ import annotations

from c2d_box.errors import C2DError
from sandbox.doctor.finding import Finding


def check_bundle() -> Finding:
    """Check that the bundle is complete, of this version, and undamaged by sizes and times."""
    from sandbox.bundle import Bundle

    try:
        return Finding(
            "C2D-DOC-BUNDLE",
            "ok",
            "bundle",
            f"complete, Kubernetes {Bundle.open_cached().kubernetes_version}",
        )
    except C2DError as problem:
        # A missing bundle is the normal state of a new machine; a damaged one points to a disk or a person.
        damaged = problem.code == "C2D-BUNDLE-DAMAGED"
        evidence = f"{problem.code}: {problem.message}"
        return Finding(
            "C2D-DOC-BUNDLE", "problem" if damaged else "warning", "bundle", evidence, "c2d-box bundle build"
        )


def check_packages() -> Finding:
    """Check for the Debian packages that a build, or a cluster on this machine, would need."""
    from sandbox.bundle.build_dependencies import NODE, missing_packages
    from sandbox.bundle.parts import catalogue

    # From the recipes themselves: a list of its own would fall behind.
    groups = {group for recipe in catalogue.chosen_recipes(None) for group in recipe.debian}
    missing = missing_packages(NODE | groups)
    if not missing:
        return Finding("C2D-DOC-PACKAGES", "ok", "packages", "all there")
    fix = f"apt-get install --no-install-recommends {' '.join(missing)} (bundle build does it after asking)"
    return Finding("C2D-DOC-PACKAGES", "warning", "packages", f"missing: {', '.join(missing)}", fix)
