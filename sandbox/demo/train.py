"""The demo's algorithm: train and cross-validate a classifier on a table, tell how good it is, show nothing
of the data.

Runs unchanged in a job pod (inputs under /data/inputs/<DID>/0, results to /data/outputs) and on a desk:

python3 train.py TABLE.csv FOLDER

Folds and solver are fixed, so the same table gives the same numbers wherever it runs.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TARGET, POSITIVE, FOLDS, SEED = "diagnosis", "malignant", 5, 8996


def find_table() -> Path:
    """The first file of the first dataset of this job, or the path given on the command line."""
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    did = json.loads(os.environ["DIDS"])[0]
    return Path(os.environ.get("INPUTS", "/data/inputs"), did, "0")


def find_outputs() -> Path:
    """Where results go."""
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("OUTPUTS", "/data/outputs"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def evaluate(table: pd.DataFrame) -> tuple[dict[str, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Out-of-fold predictions of a scaled logistic regression; metrics rounded to what is reproducible."""
    features = table.drop(columns=TARGET)
    truth = (table[TARGET] == POSITIVE).to_numpy(dtype=int)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    score = cross_val_predict(model, features, truth, cv=folds, method="predict_proba")[:, 1]
    guess = (score >= 0.5).astype(int)
    tn, fp, fn, tp = (int(value) for value in confusion_matrix(truth, guess).ravel())
    weights = model.fit(features, truth)[-1].coef_[0]
    strongest = sorted(zip(features.columns, weights, strict=True), key=lambda pair: -abs(pair[1]))[:5]
    metrics = {
        "rows": len(table),
        "features": features.shape[1],
        "folds": FOLDS,
        "seed": SEED,
        "accuracy": round(float(accuracy_score(truth, guess)), 6),
        "roc_auc": round(float(roc_auc_score(truth, score)), 6),
        "sensitivity": round(tp / (tp + fn), 6),
        "specificity": round(tn / (tn + fp), 6),
        "confusion": {"true_negative": tn, "false_positive": fp, "false_negative": fn, "true_positive": tp},
        "strongest_features": [
            {"name": name, "weight": round(float(weight), 3)} for name, weight in strongest
        ],
        "scikit_learn": sklearn.__version__,
    }
    return metrics, truth, score


def plot(truth: np.ndarray[Any, Any], score: np.ndarray[Any, Any], area: float, path: Path) -> None:
    """The ROC curve."""
    false_rate, true_rate, _ = roc_curve(truth, score)
    figure, axes = plt.subplots(figsize=(5, 5), dpi=110)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
    axes.plot(false_rate, true_rate, color="#0b6e99", linewidth=2, label=f"area {area:.4f}")
    axes.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        title="Malignant or benign, 5-fold cross-validated",
    )
    axes.legend(loc="lower right", frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})


def report(metrics: dict[str, Any]) -> str:
    """What a reader wants to know, in Markdown."""
    confusion = metrics["confusion"]
    strongest = "\n".join(
        f"* {item['name']}: {item['weight']:+.3f}" for item in metrics["strongest_features"]
    )
    return f"""# Malignant or benign? A classifier that never saw the outside of the data's house

{metrics["rows"]} samples, {metrics["features"]} measurements each; logistic regression on standardised
values, {metrics["folds"]}-fold cross-validation (every sample judged by a model that was not trained on it).

| | |
|---|---|
| accuracy | {metrics["accuracy"]:.4f} |
| area under the ROC curve | {metrics["roc_auc"]:.4f} |
| sensitivity (malignant found) | {metrics["sensitivity"]:.4f} |
| specificity (benign left in peace) | {metrics["specificity"]:.4f} |

|  | said benign | said malignant |
|---|---|---|
| **is benign** | {confusion["true_negative"]} | {confusion["false_positive"]} |
| **is malignant** | {confusion["false_negative"]} | {confusion["true_positive"]} |

The measurements that weigh most (trained on all samples, standardised):

{strongest}

![ROC curve](roc.png)
"""


def main() -> None:
    """Read, evaluate, write three files. stdout is the job's log: numbers about the run, none from the
    table.
    """
    began = time.monotonic()
    plt.switch_backend("Agg")
    table = pd.read_csv(find_table())
    print(f"read a table of {len(table)} rows and {table.shape[1]} columns", flush=True)
    metrics, truth, score = evaluate(table)
    print(f"accuracy {metrics['accuracy']}, area under the curve {metrics['roc_auc']}", flush=True)
    outputs = find_outputs()
    (outputs / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    plot(truth, score, float(metrics["roc_auc"]), outputs / "roc.png")
    (outputs / "report.md").write_text(report(metrics))
    print(f"wrote metrics.json, roc.png and report.md in {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
