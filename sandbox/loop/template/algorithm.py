"""An algorithm for Compute-to-Data: it travels to the data, and only what it writes to $OUTPUTS comes out.

In a job there is no network, inputs are read-only, and these variables say where things are:

  DIDS      the datasets, as a JSON list; each one's first file is $INPUTS/<DID>/0
  OUTPUTS   files written here are the job's results
  stdout    is the job's log, which the consumer reads: print no data
"""

import csv
import json
import os
from pathlib import Path


def main() -> None:
    """Count rows, and average every column of numbers."""
    did = json.loads(os.environ["DIDS"])[0]
    with Path(os.environ["INPUTS"], did, "0").open(newline="") as file:
        rows = list(csv.DictReader(file))
    print(f"read {len(rows)} rows", flush=True)

    summary = {"rows": len(rows), "means": means(rows)}
    Path(os.environ["OUTPUTS"], "summary.json").write_text(json.dumps(summary, indent=2))


def means(rows: list[dict[str, str]]) -> dict[str, float]:
    """Column names and averages; columns with anything but numbers are left out."""
    found = {}
    for name in rows[0] if rows else ():
        try:
            found[name] = round(sum(float(row[name]) for row in rows) / len(rows), 6)
        except ValueError:
            continue
    return found


main()
