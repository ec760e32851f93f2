"""The mean of each column, for every input; one line per column."""

import csv
import os
from pathlib import Path
from statistics import mean

INPUTS, OUTPUTS = (Path(os.environ.get(name, f"/data/{name.lower()}")) for name in ("INPUTS", "OUTPUTS"))


def columns(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise SystemExit(f"{path.name} has no rows")
    return {name: mean(float(row[name]) for row in rows) for name in rows[0]}


with (OUTPUTS / "means.csv").open("w") as out:
    for path in sorted(path for path in INPUTS.glob("*/*") if path.is_file()):
        for name, value in columns(path).items():
            print(f"{name},{value:g}", file=out)
            print(f"mean of {name}: {value:g}")
