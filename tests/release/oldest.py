#!/usr/bin/env python3
"""Checks the library with the oldest version of each direct dependency that Cargo.toml admits.

    python3 tests/release/oldest.py

Cargo's own `-Z direct-minimal-versions` needs the nightly toolchain; this sets each version in a copy of
Cargo.lock. Dependencies of dependencies stay as locked where they can. The command is left out: users get it
with its own lock file.

>>> oldest("^1.25"), oldest("^0.2.16"), oldest("=3")
('1.25.0', '0.2.16', '3.0.0')
>>> oldest(">=1, <3")
Traceback (most recent call last):
ValueError: not a plain requirement: >=1, <3
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = "wgpu-optim"


def oldest(requirement):
    """The lowest version that a requirement admits, in full."""
    if not re.fullmatch(r"[\^=]?\d+(\.\d+){0,2}", requirement):
        raise ValueError(f"not a plain requirement: {requirement}")
    parts = requirement.lstrip("^=").split(".")
    return ".".join((parts + ["0", "0"])[:3])


def cargo(directory, *arguments):
    run = subprocess.run(["cargo", *arguments], cwd=directory, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"oldest: cargo {' '.join(arguments)}: exit status {run.returncode}")
    return run.stdout


def packages(directory):
    return json.loads(cargo(directory, "metadata", "--format-version", "1", "--locked"))["packages"]


def compatible(version, minimum):
    """Whether two versions share what a caret requirement keeps: the first part that is not zero."""
    a, b = ([int(part) for part in re.split(r"[-+]", v)[0].split(".")] for v in (version, minimum))
    kept = next((i for i, part in enumerate(b) if part), 2) + 1
    return a[:kept] == b[:kept]


def main():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    # Always the same place, so that cargo builds nothing twice.
    directory = target / "oldest"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name not in (".git", "Cargo.lock", "target"):
            (directory / path.name).symlink_to(path)
    shutil.copy(ROOT / "Cargo.lock", directory)

    (library,) = (package for package in packages(directory) if package["name"] == PACKAGE)
    wanted = {d["name"]: oldest(d["req"]) for d in library["dependencies"] if d["kind"] != "dev"}
    for dependency, version in sorted(wanted.items()):
        (locked,) = (
            package["version"]
            for package in packages(directory)
            if package["name"] == dependency and compatible(package["version"], version)
        )
        if locked != version:
            print(f"oldest: {dependency} {locked} -> {version}", flush=True)
            spec = f"{dependency}@{locked}"
            cargo(directory, "update", "--quiet", "--package", spec, "--precise", version)

    cargo(
        directory, "check", "--release", "--locked", "--package", PACKAGE, "--all-features",
        "--target-dir", str(target),
    )


if __name__ == "__main__":
    main()
