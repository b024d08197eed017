"""Draw the plots of docs/explanation/anomaly-detection.md from the results of bench/anomaly_calibration.

usage: plot_calibration.py CSV FOLDER
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

THRESHOLD = "2"
DETECTOR = "#2f6fde"
PLAIN = "#d9822b"

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    """Return the rows of the CSV file, numbers as text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def style() -> None:
    """Set the shared style: a white background, so that the plots are readable on a dark page."""
    plt.rcParams.update(
        {
            "figure.facecolor": "white",
            "axes.facecolor": "white",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e3e3e3",
            "font.size": 10,
            "axes.titlesize": 11,
            "legend.frameon": False,
            "svg.hashsalt": "session-buddy",
        }
    )


def save(figure: Any, path: Path, top: float = 1.0) -> None:
    """Write a plot, `top` of its height for the panels; the same data gives the same file."""
    figure.tight_layout(rect=(0.0, 0.0, 1.0, top))
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    print(path)


def false_alarms(rows: list[Row], path: Path) -> None:
    """Draw the share of false alarms over the rate, and over sigma, one panel per invocation rate."""
    panels = [
        ("rate", "completion", "true completion rate", "drop or spike reported (%)", ["1", "3", "10", "40", "300"]),
        (
            "sigma",
            "shift",
            "spread of durations (sigma of the logarithm)",
            "shift reported (%)",
            ["1", "3", "10", "40", "300"],
        ),
    ]
    figure, axes = plt.subplots(2, 5, figsize=(12, 5.6), sharey="row")
    for line, (table, kind, label, ylabel, paces) in enumerate(panels):
        for axis, pace in zip(axes[line], paces, strict=True):
            chosen = [
                r
                for r in rows
                if r["table"] == table and r["type"] == kind and r["per_hour"] == pace and r["threshold"] == THRESHOLD
            ]
            x = [r["case"] for r in chosen]
            axis.plot(x, [float(r["plain_percent"]) for r in chosen], "s--", color=PLAIN, ms=4, label="plain rule")
            axis.plot(x, [float(r["detector_percent"]) for r in chosen], "o-", color=DETECTOR, ms=4, label="detector")
            axis.axhline(4.55, color="#888888", lw=1, ls=":", label="nominal share at threshold 2: 4.6 %")
            axis.set_ylim(0, 12)
            axis.set_title(f"{pace} an hour")
            axis.tick_params(axis="x", labelsize=8, rotation=60 if len(x) > 4 else 0)
        axes[line][0].set_ylabel(ylabel)
        axes[line][2].set_xlabel(label)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=3)
    save(figure, path, top=0.95)


def power(rows: list[Row], path: Path) -> None:
    """Draw how often each change is detected within an hour (power)."""
    chosen = [r for r in rows if r["table"] in ("change", "shift") and r["threshold"] == THRESHOLD]
    names = [f"{r['case']}, {r['per_hour']} an hour" for r in chosen]
    figure, axis = plt.subplots(figsize=(9, 6.4))
    positions = range(len(chosen))
    axis.barh(
        [p - 0.2 for p in positions], [float(r["plain_percent"]) for r in chosen], 0.36, color=PLAIN, label="plain rule"
    )
    axis.barh(
        [p + 0.2 for p in positions],
        [float(r["detector_percent"]) for r in chosen],
        0.36,
        color=DETECTOR,
        label="detector",
    )
    axis.set_yticks(list(positions), names)
    axis.invert_yaxis()
    axis.set_xlim(0, 100)
    axis.set_xlabel("found one hour after the change (%)")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    axis.grid(axis="y", visible=False)
    save(figure, path)


def trade_off(rows: list[Row], path: Path) -> None:
    """Draw power over false alarms, one point per threshold."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2))
    for axis, (quiet, changed, kind, title) in zip(
        axes,
        [("rate", "change", "completion", "completion rate"), ("sigma", "shift", "shift", "durations")],
        strict=True,
    ):
        in_curve = {(r["table"], r["case"], r["per_hour"]) for r in rows if r["threshold"] != THRESHOLD}
        for column, color, marker, label in [
            ("plain_percent", PLAIN, "s--", "plain rule"),
            ("detector_percent", DETECTOR, "o-", "detector"),
        ]:
            means: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
            for row in rows:
                if (row["table"], row["case"], row["per_hour"]) not in in_curve:
                    continue
                if row["table"] == changed or (row["table"] == quiet and row["type"] == kind):
                    means[row["threshold"]][row["table"]].append(float(row[column]))
            points = [
                (sum(m[quiet]) / len(m[quiet]), sum(m[changed]) / len(m[changed]), threshold)
                for threshold, m in sorted(means.items(), key=lambda item: float(item[0]))
            ]
            axis.plot([p[0] for p in points], [p[1] for p in points], marker, color=color, ms=5, label=label)
            for x, y, threshold in points:
                below = column == "plain_percent"
                axis.annotate(
                    threshold,
                    (x, y),
                    xytext=(5, -11) if below else (-4, 7),
                    textcoords="offset points",
                    fontsize=8,
                    color=color,
                    ha="left" if below else "right",
                )
        axis.set_title(title)
        axis.set_xlabel("false alarms (% of evaluations, mean)")
        axis.set_ylabel("power (%, mean)")
        axis.set_xlim(left=-1.1)
        axis.margins(y=0.12)
        axis.legend(loc="lower right")
    save(figure, path)


def main() -> int:
    """Draw all plots into the folder."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    rows = read(Path(sys.argv[1]))
    folder = Path(sys.argv[2])
    style()
    false_alarms(rows, folder / "anomaly-false-alarms.png")
    power(rows, folder / "anomaly-power.png")
    trade_off(rows, folder / "anomaly-thresholds.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
