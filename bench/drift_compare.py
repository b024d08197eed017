"""Compare the alerts with other change detectors on the same simulated streams of one skill.

The completion rate of a skill falls after some quiet days. Peers: river's drift detectors, and a CUSUM that knows both
rates and so bounds what is possible. For each detector, the parameter is interpolated to TARGET false alarms a day; the
result is the median delay. Prints a Markdown table; --csv writes all measured points.

usage: python bench/drift_compare.py PROGRAM [--csv FILE] [--streams N]
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import struct
import subprocess
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import median
from typing import Any

from river import drift
from river.drift import binary

TARGET = 0.05  # false alarms per day and skill
RATES = [(0.85, 0.62), (0.95, 0.80), (0.99, 0.90), (0.90, 0.80)]
# Invocations per hour, then hours: of learning, in which false alarms count, after the change.
PACES = [(5, 24, 48, 120), (5, 240, 480, 120), (40, 24, 48, 48), (300, 24, 48, 24)]
RECENT = 30  # invocations that decide whether a change is a fall

Outcomes = tuple["array[float]", bytes]


@dataclass(frozen=True)
class Case:
    """A stream: the two rates and the pace."""

    before: float
    after: float
    per_hour: int
    warm: int
    quiet: int
    rest: int

    def arguments(self, streams: int) -> list[str]:
        """Options of alert_streams."""
        words = {**asdict(self), "streams": streams}
        return [word for name, value in words.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@dataclass(frozen=True)
class Measured:
    """One detector with one parameter: false alarms per day, and the median delay in hours."""

    case: Case
    detector: str
    parameter: float
    false_per_day: float
    delay: float


# Detectors of river, by name: how to make one, whether it continues by itself after a change, and parameters from the
# most sensitive one to the least. ADWIN is the best of them, so only it gets all streams.
FEWER = 8
RIVER: dict[str, tuple[Callable[[float], Any], bool, list[float]]] = {
    "ADWIN": (lambda p: drift.ADWIN(delta=p, clock=1), True, [0.9, 0.5, 0.2, 0.07, 0.02, 0.005]),
    "HDDM_A": (lambda p: binary.HDDMA(drift_confidence=p), False, [0.01, 0.001, 1e-4, 1e-5]),
    "HDDM_W": (lambda p: binary.HDDMW(drift_confidence=p), False, [1e-3, 1e-5, 1e-7, 1e-10]),
    "DDM": (lambda p: binary.DDM(drift_threshold=p), False, [2.5, 3.0, 3.5, 4.0]),
    "Page-Hinkley": (lambda p: drift.PageHinkley(threshold=p, delta=0.05, mode="up"), False, [5, 10, 20, 40]),
}
OWN = {
    "alerts": [1.6, 0.8, 0.4, 0.2, 0.1, 0.05, 0.025],
    "cusum": [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
}
NAMES = {"alerts": "alerts", "cusum": "CUSUM that knows both rates"}


def river_detection(case: Case, stream: Outcomes, make: Callable[[], Any], continues: bool) -> tuple[int, float]:
    """Return the false alarms in the quiet time and the delay, nan if the change was not found."""
    hours, outcomes = stream
    change = case.warm + case.quiet
    completed = [0, *accumulate(outcomes)]
    detector = make()
    false = 0
    for number, outcome in enumerate(outcomes, 1):
        detector.update(1 - outcome)
        if not detector.drift_detected:
            continue
        if not continues:
            detector = make()
        recent = min(RECENT, number)
        if (completed[number] - completed[number - recent]) / recent >= completed[number] / number:
            continue  # a rise
        at = hours[number - 1]
        if at > change:
            return false, at - change
        false += at > case.warm
    return false, math.nan


def streams_of(program: Path, case: Case, streams: int) -> Iterator[Outcomes]:
    """Read the simulated streams from the program."""
    command = [program, "streams", *case.arguments(streams)]
    data = memoryview(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    while data:
        (count,) = struct.unpack("=Q", data[:8])
        hours = array("d")
        hours.frombytes(data[8 : 8 + 8 * count])
        yield hours, bytes(data[8 + 8 * count : 8 + 9 * count])
        data = data[8 + 9 * count :]


def measure(program: Path, case: Case, streams: int, detector: str, parameter: float) -> Measured:
    """Run one detector on all streams of a case."""
    if detector in RIVER:
        make, continues, _ = RIVER[detector]
        found = [
            river_detection(case, stream, partial(make, parameter), continues)
            for stream in streams_of(program, case, streams)
        ]
    else:
        command = [program, detector, *case.arguments(streams), "--parameter", str(parameter)]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        found = [(int(line.split()[0]), float(line.split()[1])) for line in lines]
    false = sum(count for count, _ in found) / (streams * case.quiet / 24)
    return Measured(case, detector, parameter, false, median(math.inf if math.isnan(d) else d for _, d in found))


def streams_for(detector: str, streams: int) -> int:
    """How many of the streams a detector gets."""
    return streams if detector in OWN or detector == "ADWIN" else max(1, streams // FEWER)


def at_target(points: list[Measured], streams: int) -> tuple[float, bool]:
    """Interpolate the delay to TARGET false alarms; the second value says that no parameter has as few or as many."""
    least = 0.5 / (streams * points[0].case.quiet / 24)  # half an alarm, for a parameter with none
    curve = [(math.log(max(point.false_per_day, least)), point.delay) for point in points]
    wanted = math.log(TARGET)
    if wanted >= curve[0][0]:
        return curve[0][1], True
    for (more, early), (fewer, late) in pairwise(curve):
        if fewer <= wanted:
            share = (more - wanted) / max(more - fewer, 1e-9)
            return (early + share * (late - early) if late < math.inf else math.inf), False
    return curve[-1][1], True


def write_table(results: dict[tuple[Case, str], tuple[float, bool]], detectors: list[str], streams: int) -> None:
    """Print the median delays, a row per detector and pace."""
    print(
        "\n## Comparison with other detectors\n\n"
        "Median hours until a fall of the completion rate of one skill is found, "
        f"at {TARGET} false alarms a day: the\nparameter of each detector is interpolated to that. In brackets: the "
        f"end of its range of parameters, with more or\nfewer false alarms than that. {streams} streams for each case, "
        f"{max(1, streams // FEWER)} for the slow detectors.\n"
    )
    cases = [f"{before:.0%} → {after:.0%}".replace("%", " %") for before, after in RATES]
    print(f"| invocations per hour | detector | {' | '.join(cases)} |")
    print("| --- | --- |" + " ---: |" * len(cases))
    for pace in PACES:
        label = f"{pace[0]} ({(pace[1] + pace[2]) // 24} days before)"
        for detector in detectors:
            cells = []
            for rates in RATES:
                delay, is_end = results[Case(*rates, *pace), detector]
                text = f"{delay:.2f}" if delay < math.inf else f"> {pace[3]}"
                cells.append(f"({text})" if is_end else text)
            print(f"| {label} | {NAMES.get(detector, detector)} | {' | '.join(cells)} |")
    ratios = [results[case, "alerts"][0] / results[case, "cusum"][0] for case, name in results if name == "alerts"]
    print(
        f"\nDelay of the alerts, as a multiple of that CUSUM's: {min(ratios):.2f} to {max(ratios):.2f}, "
        f"median {median(ratios):.2f}."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="alert_streams")
    parser.add_argument("--csv", type=Path, help="also write all measured points there")
    parser.add_argument("--streams", type=int, default=200, help="simulated streams per case (200)")
    parser.add_argument("--detectors", default="alerts,cusum,ADWIN,HDDM_A,HDDM_W,DDM,Page-Hinkley")
    options = parser.parse_args()
    detectors = options.detectors.split(",")
    cases = [Case(*rates, *pace) for pace in PACES for rates in RATES]
    grids = {**OWN, **{name: grid for name, (_, _, grid) in RIVER.items()}}
    tasks = [(case, name, value) for case in cases for name in detectors for value in grids[name]]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        futures = [
            pool.submit(measure, options.program.resolve(), case, streams_for(rest[0], options.streams), *rest)
            for case, *rest in tasks
        ]
        measured = [future.result() for future in futures]
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*Case.__dataclass_fields__, "detector", "parameter", "false_per_day", "delay"])
            for point in measured:
                values = (point.detector, point.parameter, round(point.false_per_day, 4), round(point.delay, 3))
                writer.writerow([*asdict(point.case).values(), *values])
    results = {}
    for case in cases:
        for name in detectors:
            points = [point for point in measured if point.case == case and point.detector == name]
            results[case, name] = at_target(points, streams_for(name, options.streams))
    write_table(results, detectors, options.streams)


if __name__ == "__main__":
    main()
