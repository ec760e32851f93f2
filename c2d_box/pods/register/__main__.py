"""``python -m c2d_box.pods.register``: waits until the results are stored, registers them, reports."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from c2d_box.errors import C2DError, Refused
from c2d_box.pods import engine
from c2d_box.workflow import names

PATIENCE = 600.0
"""Seconds for which a chain or a Provider that does not answer is asked again."""


def main() -> int:
    """Register the results and report, also a failure: the results are stored by now, so a job whose asset
    could not be made ends without one. Without a go-ahead there is nothing to register, which is no failure.
    """
    reporter = engine.from_environment("register")
    try:
        order = reporter.await_go_ahead()
    except engine.GivenUp as reason:
        print(f"nothing to register: {reason}", flush=True)
        return 0
    report = _register_results(reporter, order)
    try:
        reporter.send_report(report)
    except engine.GivenUp as reason:
        print(f"gave up: {reason}", flush=True)
        return 1
    print(report.get("failed") or f"registered as {report['did']}", flush=True)
    return 0


def _register_results(reporter: engine.EngineClient, order: dict[str, object]) -> dict[str, str]:
    """Return the register's report, whatever happens. Every try sends only transactions that are not on the
    chain yet, so trying again after a failure pays for nothing twice."""
    from c2d_box.chain.accounts import from_key  # web3 takes most of a second; most jobs never need it
    from c2d_box.pods.register.asset import AssetRegistration

    # The key is a file of this container alone; no other container of the job mounts it.
    signer = from_key(Path(names.REGISTER_KEY_FILE).read_text().strip())
    registering = AssetRegistration(reporter, order, signer)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return registering.run_steps()
        except (C2DError, engine.GivenUp) as problem:
            # A refusal, such as an invalid description, stays one; chain and Provider may come back.
            if isinstance(problem, Refused) or time.monotonic() >= until:
                return {"failed": str(problem)}
            print(f"{problem}; trying again", flush=True)
        time.sleep(2.0)


if __name__ == "__main__":
    sys.exit(main())
