"""Draw the plots of docs/explanation/anomaly-detection.md from what `make calibrate` measured.

usage: python scripts/plot_calibration.py ALERTS.csv COMPARISON.csv FOLDER
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

ALERTS = "#2f6fde"
PEER = "#d9822b"
BOUND = "#555555"
DETECTORS = [("alerts", "alerts", ALERTS, "o-"), ("ADWIN", "ADWIN (river)", PEER, "s--"),
             ("cusum", "CUSUM that knows both rates", BOUND, "^:")]  # fmt: skip

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


def false_alerts(rows: list[Row], path: Path) -> None:
    """Draw the false alerts of each database as a multiple of the budget, with an interval of two standard errors."""
    names = list(dict.fromkeys(row["case"] for row in rows if row["table"] == "false"))
    budgets = sorted({float(row["budget_per_day"]) for row in rows if row["table"] == "false"})
    figure, axis = plt.subplots(figsize=(9, 4.8))
    for shift, budget, color, label in zip((-0.15, 0.15), budgets, (ALERTS, PEER), ("1/week", "1/day"), strict=True):
        chosen = {r["case"]: r for r in rows if r["table"] == "false" and float(r["budget_per_day"]) == budget}
        expected = [10.0 * budget * float(chosen[name]["seeds"]) for name in names]
        found = [float(chosen[name]["mean"]) * float(chosen[name]["seeds"]) for name in names]
        axis.errorbar(
            [count / most for count, most in zip(found, expected, strict=True)],
            [number + shift for number in range(len(names))],
            xerr=[2.0 * math.sqrt(count) / most for count, most in zip(found, expected, strict=True)],
            fmt="o",
            color=color,
            ms=5,
            label=f"alert_budget {label}",
        )
    axis.axvline(1.0, color=BOUND, lw=1, ls="--")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlim(left=0.0)
    axis.set_xlabel("false alerts in ten days, as a multiple of the budget")
    axis.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)
    save(figure, path)


def comparison(rows: list[Row], path: Path) -> None:
    """Draw the median delay over the rate of false alarms, one panel per case and pace."""
    cases = list(dict.fromkeys((r["before"], r["after"]) for r in rows))
    paces = list(dict.fromkeys((r["per_hour"], r["warm"]) for r in rows))
    figure, axes = plt.subplots(len(paces), len(cases), figsize=(12, 2.5 * len(paces)), sharex=True)
    for line, (pace, warm) in enumerate(paces):
        for axis, (before, after) in zip(axes[line], cases, strict=True):
            for detector, label, color, marker in DETECTORS:
                points = [
                    (float(r["false_per_day"]), float(r["delay"]))
                    for r in rows
                    if (r["before"], r["after"], r["per_hour"], r["warm"]) == (before, after, pace, warm)
                    and r["detector"] == detector
                    and float(r["false_per_day"]) > 0
                    and math.isfinite(float(r["delay"]))
                ]
                axis.plot(
                    [x for x, _ in points], [y for _, y in points], marker, color=color, ms=4, lw=1.2, label=label
                )
            axis.axvline(0.05, color="#bbbbbb", lw=1)
            axis.set_xscale("log")
            axis.set_xlim(0.005, 2.0)
            axis.set_ylim(bottom=0)
            if line == 0:
                axis.set_title(f"{float(before):.0%} → {float(after):.0%}".replace("%", " %"))
        axes[line][0].set_ylabel(f"{pace} an hour, {'long' if float(warm) > 24 else 'short'}\nhistory: delay (h)")
    figure.supxlabel("false alarms per day", fontsize=10)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=3)
    save(figure, path, top=0.97)


def power(rows: list[Row], path: Path) -> None:
    """Draw how many invocations a change needs until it is reported, over the budget."""
    chosen = [row for row in rows if row["table"] == "power"]
    names = list(dict.fromkeys(row["case"] for row in chosen))
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2))
    for axis, title in zip(axes, ("completion rate", "durations"), strict=True):
        for name in names:
            if name.startswith("durations") != (title == "durations"):
                continue
            points = [
                (float(row["budget_per_day"]), float(row["mean"]))
                for row in chosen
                if row["case"] == name and math.isfinite(float(row["mean"]))
            ]
            axis.plot([x for x, _ in points], [y for _, y in points], "o-", ms=4, label=name.removeprefix("durations "))
        axis.set_title(title)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.minorticks_off()
        axis.set_xticks([1 / 30, 1 / 7, 1, 10], ["1/month", "1/week", "1/day", "10/day"])
        axis.set_xlabel("alert_budget")
        axis.set_ylabel("invocations until the alert (median)")
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, path)


def main() -> int:
    """Draw all plots into the folder."""
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    alerts = read(Path(sys.argv[1]))
    folder = Path(sys.argv[3])
    style()
    false_alerts(alerts, folder / "alerts-false.png")
    comparison(read(Path(sys.argv[2])), folder / "alerts-comparison.png")
    power(alerts, folder / "alerts-power.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
