#!/usr/bin/env python3
"""Runs every command of docs/guide.md, writes its output below it, and saves its pictures in
docs/images/guide. With --check, it changes nothing and fails if anything differs.

In a block marked ```console, a line "$ COMMAND" is a bash command and "> " continues it. The lines up to
the next command are its output, including standard error. All commands run one after the other in one
new folder. Standard library only.

Blocks marked ```console slow take minutes to hours and have measured times in them. They run only with
--slow, which prints how long each command took; --check leaves them as they are.
"""

import argparse
import difflib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DOCS = Path(__file__).resolve().parent
GUIDE, PICTURES = DOCS / "guide.md", DOCS / "images" / "guide"
DATA = "airfoil_self_noise.dat"
BLOCK, SLOW = (
    re.compile(rf"(?<=^```{kind}\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
    for kind in ("console", "console slow")
)
# Times differ from run to run, so they are removed from the output of `compare` and `fit`: a table's last
# column if it is called "seconds", and the line "seconds per epoch".
WRAPPER = r"""#!/usr/bin/env bash
set -o pipefail
PATH={path} {command} "$@" | sed -E '/^ seconds per epoch/d; /   seconds$/,$ {{
    s/ +(seconds|[0-9.]+)$//
    s/─{{10}}$//
}}'
"""


class Shell:
    """Runs the commands in a folder of their own."""

    def __init__(self, folder, command, data):
        self.folder, self.has_data = folder / "here", data.is_file()
        self.skipped, self.left = [], []  # for want of data; slow
        self.folder.mkdir()
        if self.has_data:
            (self.folder / DATA).symlink_to(data.resolve())
        (self.folder / "burn").symlink_to(DOCS.parent / "burn")
        wrapper = folder / "bin" / "wgpu-optim"
        wrapper.parent.mkdir()
        wrapper.write_text(
            WRAPPER.format(path=shlex.quote(os.environ["PATH"]), command=command)
        )
        wrapper.chmod(0o755)
        path = f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}

    def slow(self, match):
        """The same for a slow block."""
        start = time.monotonic()
        block = self.block(match)
        print(f"{time.monotonic() - start:.0f} s: {match[0].splitlines()[0]}", file=sys.stderr)
        return block

    def block(self, match):
        """The block with its current outputs."""
        commands = re.findall(r"^\$ .*\n(?:> .*\n)*", match[0], re.MULTILINE)
        if DATA in match[0] and not self.has_data:
            self.skipped.append(match[0])
            return match[0]
        return "".join(command + self.output(command) for command in commands)

    def output(self, command):
        text = re.sub(r"^[$>] ", "", command, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode == 127:
            sys.exit(f"{text}{done.stdout.decode()}")
        lines = done.stdout.decode().rstrip().splitlines()
        return "".join(f"{line.rstrip()}\n" for line in lines)


def main():
    root = DOCS.parent
    cargo = ["cargo", "run", "--release", "--quiet", "--manifest-path", root / "Cargo.toml", "--"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--slow", action="store_true", help="run the blocks that take long too")
    parser.add_argument("--check", action="store_true", help="change nothing, show the differences")
    parser.add_argument(
        "--command",
        default=shlex.join(map(str, cargo)),
        help="the command that runs wgpu-optim, by an absolute path [default: %(default)s]",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=root.parent / "shared" / "data" / DATA,
        help="the airfoil data; without it, blocks that need it are not run [%(default)s]",
    )
    arguments = parser.parse_args()

    old = GUIDE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        shell = Shell(Path(folder), arguments.command, arguments.data)
        new = BLOCK.sub(shell.block, old)
        if arguments.slow:
            new = SLOW.sub(shell.slow, new)
        else:
            shell.left = SLOW.findall(new)
        drawn = {path.name: path.read_bytes() for path in shell.folder.glob("*.svg")}
    kept = {path.name: path.read_bytes() for path in PICTURES.glob("*.svg")}
    untouched = "".join(shell.skipped + shell.left)
    drawn |= {name: kept[name] for name in kept if name in untouched}
    shown = set(re.findall(r"\(images/guide/(.*?)\)", new))
    if shell.skipped:
        print(f"skipped {len(shell.skipped)} blocks: {arguments.data} does not exist (--data)")
    if shown != set(drawn):
        sys.exit(f"drawn but not shown, or shown but not drawn: {sorted(shown ^ set(drawn))}")

    stale = sorted(name for name in kept.keys() | drawn if kept.get(name) != drawn.get(name))
    if not arguments.check:
        GUIDE.write_text(new)
        for name in stale:
            (PICTURES / name).unlink(missing_ok=True)
            if name in drawn:
                (PICTURES / name).write_bytes(drawn[name])
        return
    names = ("docs/guide.md", "current output")
    sys.stdout.writelines(difflib.unified_diff(*(t.splitlines(True) for t in (old, new)), *names))
    for name in stale:
        print(f"docs/images/guide/{name} differs from the current picture")
    if new != old or stale:
        sys.exit("the guide is out of date: run docs/guide.py to rewrite it")


main()
