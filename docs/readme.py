#!/usr/bin/env python3
"""Runs the ```sh blocks of README.md and cli/README.md, and fails where a command fails.

The blocks of a page run one after the other, in one new folder. `wgpu-optim ...` and
`cargo run --release -- ...` run the program that --command names. A block below a line
`<!-- not run: REASON -->` is left out. README.md's length is checked too; tests/release/links.py checks
links. Rust blocks are tests of the library's documentation. Standard library only.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "cli/README.md"]
MAX_LINES = 150
MAX_SECONDS = 120
BLOCK = re.compile(r"(?:^<!-- not run: ([^\n]+?) -->\n)?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What the pages take to be there.
FILES = {
    "data.csv": "a,b,y\n" + "".join(f"{i},{i * 7 % 10},{2 * i + i * 7 % 10}\n" for i in range(50)),
    "new.csv": "b,a\n3,4\n1,2\n",
    "clicks.svm": "".join(f"{i % 2} {1 + i % 2}:1 {3 + i % 5}:0.5\n" for i in range(100)),
}
PROGRAMS = {
    "wgpu-optim": 'exec {command} "$@"',
    "cargo": """if [ "$1 $2 $3" != "run --release --" ]; then
    echo "cargo $*: docs/readme.py runs cargo run --release -- only: mark the block" >&2
    exit 1
fi
shift 3
exec {command} "$@\"""",
}


def run_page(page, command):
    """Runs the blocks of a page; what was wrong."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        here, programs = Path(folder) / "here", Path(folder) / "bin"
        here.mkdir()
        programs.mkdir()
        for name, content in FILES.items():
            (here / name).write_text(content)
        path = shlex.quote(os.environ["PATH"])
        for name, script in PROGRAMS.items():
            # The real cargo is found by --command.
            lines = ["#!/usr/bin/env bash", f"PATH={path}", script.format(command=command), ""]
            (programs / name).write_text("\n".join(lines))
            (programs / name).chmod(0o755)
        environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        for reason, script in BLOCK.findall((ROOT / page).read_text()):
            if reason:
                print(f"{page}: left out ({reason}): {script.strip()}")
                continue
            text = f"set -euo pipefail\n{script}"
            try:
                done = subprocess.run(
                    ["bash", "-c", text],
                    cwd=here,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=MAX_SECONDS,
                )
            except subprocess.TimeoutExpired:
                problems.append(f"{page}: more than {MAX_SECONDS} s:\n{script}")
                continue
            if done.returncode != 0:
                output = done.stdout.decode(errors="replace")
                problems.append(f"{page}: status {done.returncode}:\n{script}{output}")
    return problems


def programs_to_run():
    """The programs among which `cargo run` would have to choose."""
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = subprocess.run(metadata, cwd=ROOT, capture_output=True, text=True, check=True)
    metadata = json.loads(metadata.stdout)
    packages = [p for p in metadata["packages"] if p["id"] in metadata["workspace_default_members"]]
    targets = [target for package in packages for target in package["targets"]]
    return [target["name"] for target in targets if "bin" in target["kind"]]


def main():
    cargo = ["cargo", "run", "--release", "--quiet", "--manifest-path", ROOT / "Cargo.toml", "--"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--command",
        default=shlex.join(map(str, cargo)),
        help="what runs wgpu-optim, by an absolute path [default: %(default)s]",
    )
    command = parser.parse_args().command

    problems = [problem for page in PAGES for problem in run_page(page, command)]
    lines = len((ROOT / "README.md").read_text().splitlines())
    if lines > MAX_LINES:
        problems.append(f"README.md: {lines} lines: at most {MAX_LINES}")
    found = programs_to_run()
    if found != ["wgpu-optim"]:
        problems.append(f"cargo run: there is not one program to run, but {found}")
    if problems:
        sys.exit("\n".join(problems))


main()
