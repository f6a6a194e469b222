"""Runs contestants in turn and compares their times. Standard library only. Started by `run`."""

import argparse
import array
import contextlib
import csv
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from cases import burn_cases, sparse_cases, sparse_shapes, step_cases, train_cases

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Seconds to measure one contestant in one round, and to rest before it: threads that have just worked
# wait for more work in a busy loop.
TURN, REST = 0.5, 0.05
MODES = {
    "queued": "",
    "waited": ", waiting after each step",
    "lazy": ", fused across steps if possible",
    "epoch": ", one epoch",
    "whole": ", including reading the file",
}
PARTS = ["step", "burn", "train", "sparse"]
COLUMNS = [
    "part", "case", "mode", "contestant", "seconds", "seconds_least", "seconds_most",
    "ratio", "ratio_least", "ratio_most", "target", "check", "device",
]  # fmt: skip


class Contestant:
    """A running program that answers each line "MODE SECONDS" with a time."""

    def __init__(self, name, command, environment, processors):
        self.name = name
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        )
        ready = self.answer()
        self.check, self.device = ready["check"], ready.get("device", name)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} exited with status {self.process.wait()}; see its message above.")
        return json.loads(line)

    def measure(self, mode, budget):
        time.sleep(REST)
        # If it has ended, `answer` reports that.
        with contextlib.suppress(BrokenPipeError):
            print(mode, budget, file=self.process.stdin, flush=True)
        return self.answer()["seconds"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def spread(values):
    """The median, the minimum and the maximum.

    >>> spread([3.0, 1.0, 2.0])
    (2.0, 1.0, 3.0)
    """
    return statistics.median(values), min(values), max(values)


def ratios(ours, theirs):
    """How many times as fast as the other we were, for each round.

    >>> ratios([1.0, 2.0], [3.0, 5.0])
    [3.0, 2.5]
    """
    return [their / our for our, their in zip(ours, theirs, strict=True)]


def environment(threads, driver):
    """The same number of threads for all contestants, and one Vulkan driver."""
    result = dict(os.environ, VK_DRIVER_FILES=driver)
    result.pop("VK_ADD_DRIVER_FILES", None)
    # JAX instead counts the processors that it may run on.
    for name in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"]:
        result[name] = str(threads)
    return result


def start(case, settings):
    """All contestants of a case, ours first, warmed up and checked."""

    def contestant(name, program, arguments):
        programs = {
            "ours": [settings.ours],
            "ours-avx2": [settings.ours_avx2],
            "burn": [settings.work / "burn/release/burn-peer"],
        }
        script = [settings.work / "venv/bin/python", HERE / program]
        command = [*programs.get(program, script), *arguments]
        return Contestant(name, command, settings.environment, settings.processors)

    ours = contestant("wgpu-optim", case.program, case.ours)
    result = [ours]
    for peer in case.peers:
        theirs = contestant(peer.name, peer.program, peer.arguments)
        if peer.checked and not abs(theirs.check - ours.check) <= case.tolerance:
            sys.exit(
                f"{case.name}: {peer.name} computed {theirs.check}, wgpu-optim {ours.check}: "
                "the work was not the same."
            )
        result.append(theirs)
    return result


def take_turns(contestants, mode, settings):
    """The seconds of each contestant in each round. Another contestant starts each round."""
    seconds = [[] for _ in contestants]
    for turn in range(settings.rounds):
        for step in range(len(contestants)):
            index = (turn + step) % len(contestants)
            seconds[index].append(contestants[index].measure(mode, settings.turn))
    return seconds


def run_case(case, settings):
    """Yields one row of the record for each measurement of each contestant."""
    contestants = start(case, settings)
    targets = [None, *(peer.target for peer in case.peers)]
    for mode in case.modes:
        seconds = take_turns(contestants, mode, settings)
        for contestant, theirs, target in zip(contestants, seconds, targets, strict=True):
            figures = (*spread(theirs), *spread(ratios(seconds[0], theirs)))
            row = [case.part, case.name, mode, contestant.name]
            row += [f"{figure:.4g}" for figure in figures]
            # Steps that are fused with others are no peer of a single step: see README.md.
            row += [None if mode == "lazy" else target, contestant.check, contestant.device]
            yield dict(zip(COLUMNS, row, strict=True))
    for contestant in contestants:
        contestant.end()


def line(row):
    """A row of the table; for our program, the heading of the case."""
    seconds = float(row["seconds"])
    if row["contestant"] == "wgpu-optim":
        return f"\n{row['case']}{MODES[row['mode']]}: {seconds * 1e3:.4g} ms on {row['device']}"
    ratio, target = float(row["ratio"]), row["target"]
    verdict = ""
    if target is not None:
        verdict = f"  target {target:g}: {'met' if ratio >= target else 'MISSED'}"
    spread = f"({float(row['ratio_least']):.3g} to {float(row['ratio_most']):.3g})"
    return f"  {ratio:8.3g} x {row['contestant']:30}{spread:20}{seconds * 1e3:10.4g} ms{verdict}"


def standardised_airfoil(data, work):
    """The file of the first 1500 rows as little-endian f32. Columns are standardized over all rows."""
    if not data.exists():
        print(f"SKIPPED: airfoil, because {data} does not exist; see --data.")
        return None
    table = [[float(word) for word in text.split()] for text in data.read_text().splitlines()]
    columns = []
    for column in zip(*filter(None, table), strict=True):
        mean, deviation = statistics.fmean(column), statistics.pstdev(column)
        columns.append([(value - mean) / deviation for value in column])
    rows = array.array("f", (value for row in list(zip(*columns))[:1500] for value in row))
    if sys.byteorder == "big":
        rows.byteswap()
    path = work / "airfoil.f32"
    path.write_bytes(rows.tobytes())
    return path


def sparse_files(settings):
    """The files of the sparse problems, by shape. Writes those that do not exist."""
    files = {}
    for shape in sparse_shapes(settings.quick):
        file = settings.work / f"sparse-{'-'.join(map(str, shape))}.svm"
        if not file.exists():
            part = file.with_suffix(".part")
            subprocess.run([settings.ours, "write-sparse", *map(str, shape), part], check=True)
            part.rename(file)
        files[shape] = file
    return files


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip()


def machine(settings):
    """What the figures depend on, as lines for the header of the record."""
    information = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line for line in information if line.startswith("model name")), "model name: ?")
    flags = next((line for line in information if line.startswith("flags")), "").split()
    widest = next((name for name in ["avx512f", "avx2", "avx"] if name in flags), "no AVX")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lock = (HERE / "burn/Cargo.lock").read_text()
    burn = lock.split('name = "burn"\nversion = "')[1].split('"')[0]
    names = [text.split("==")[0] for text in (HERE / "requirements.txt").read_text().splitlines()]
    pip = settings.work / "venv/bin/pip"
    installed = output(pip, "freeze").splitlines() if pip.exists() else []
    used = [text for text in installed if text.split("==")[0] in names]
    load = ", ".join(f"{figure:.2f}" for figure in os.getloadavg())
    commit = output("git", "describe", "--always", "--dirty") or "unknown"
    return [
        f"{model.split(':')[1].strip()} with {widest}, {os.cpu_count()} processors, "
        f"{memory:.0f} GiB, "
        f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.platform()}",
        f"{settings.threads} threads each; load before the first case {load}; Vulkan driver "
        f"{Path(settings.driver).name}",
        f"{datetime.date.today()}, wgpu-optim {commit}, {output('rustc', '--version')}, "
        + ", ".join([f"Python {platform.python_version()}", f"Burn {burn}", *used]),
        f"medians of {settings.rounds} rounds; ratio: the contestant's time over wgpu-optim's "
        "in the same round",
    ]


def part(text):
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"{text}: the parts are {', '.join(PARTS)}")
    return text


def arguments():
    driver = f"/usr/share/vulkan/icd.d/lvp_icd.{platform.machine()}.json"
    data = ROOT.parent / "shared/data/airfoil_self_noise.dat"
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__)
    parser.add_argument("parts", nargs="*", type=part, metavar="step|burn|train|sparse", help="(all)")
    parser.add_argument("--record", type=Path, help="write all figures to this CSV file")
    parser.add_argument("--quick", action="store_true", help="only a test: small cases, 2 rounds")
    parser.add_argument("--threads", type=int, default=2, help="threads of each contestant (2)")
    parser.add_argument("--rounds", type=int, help="measurements of each contestant (9)")
    parser.add_argument("--data", type=Path, default=data, help="the file airfoil_self_noise.dat")
    parser.add_argument("--driver", default=driver, help="the ICD file of the Vulkan driver (lavapipe)")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ours", help=argparse.SUPPRESS)
    parser.add_argument("--ours-avx2", default="", help=argparse.SUPPRESS)
    parser.add_argument("--command", default="", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    settings.rounds = settings.rounds or (2 if settings.quick else 9)
    settings.turn = 0.02 if settings.quick else TURN
    allowed = sorted(os.sched_getaffinity(0))
    if not 1 <= settings.threads <= len(allowed):
        parser.error(f"--threads {settings.threads}: choose 1 to {len(allowed)} on this machine")
    if not os.path.exists(settings.driver):
        parser.error(f"--driver {settings.driver}: no such file; see /usr/share/vulkan/icd.d")
    settings.processors = allowed[: settings.threads]
    settings.environment = environment(settings.threads, settings.driver)
    settings.environment["WGPU_OPTIM"] = settings.command
    return settings


def cases(settings):
    parts = settings.parts or PARTS
    if "step" in parts:
        yield from step_cases(settings.quick)
        if settings.ours_avx2:
            yield from step_cases(settings.quick, "ours-avx2", " with AVX2")
    if "burn" in parts:
        yield from burn_cases(settings.quick)
    if "train" in parts:
        airfoil = standardised_airfoil(settings.data, settings.work)
        yield from train_cases(settings.quick, airfoil)
    if "sparse" in parts:
        yield from sparse_cases(sparse_files(settings), settings.quick)


def main():
    settings = arguments()
    head = machine(settings)
    print("\n".join(head), flush=True)
    # Row by row, so that an interrupted run keeps its figures.
    with open(settings.record or os.devnull, "w", newline="") as record:
        record.writelines(f"# {text}\n" for text in head)
        writer = csv.DictWriter(record, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for case in cases(settings):
            for row in run_case(case, settings):
                writer.writerow(row)
                record.flush()
                print(line(row), flush=True)


if __name__ == "__main__":
    main()
