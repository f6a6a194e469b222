#!/usr/bin/env python3
"""Checks that every dependency has a licence and a source that deny.toml allows.

    python3 tests/release/licences.py

cargo-deny checks this and more, but takes minutes to build. Dependencies
of all platforms, tests and benchmarks count. burn/ is not published, and Burn's own dependencies are not checked.

>>> allowed("MIT OR GPL-3.0", {"MIT"})
True
>>> allowed("MIT AND GPL-3.0", {"MIT"})
False
>>> allowed("(MIT OR GPL-3.0) AND Zlib", {"MIT", "Zlib"})
True
>>> allowed("Apache-2.0 WITH LLVM-exception", {"Apache-2.0"})
False
>>> allowed("Unlicense/MIT", {"MIT"})
True
>>> allowed("MIT Zlib", {"MIT", "Zlib"})
Traceback (most recent call last):
ValueError: not a licence expression: MIT Zlib
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def allowed(expression, licences):
    """Whether one choice that an SPDX expression leaves consists of `licences` alone."""
    # Before SPDX, a slash was "or".
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either():
        result = both()
        while words[:1] == ["OR"]:
            words.pop(0)
            result = both() or result
        return result

    def both():
        result = one()
        while words[:1] == ["AND"]:
            words.pop(0)
            result = one() and result
        return result

    def one():
        if words[:1] == ["("]:
            words.pop(0)
            result = either()
            close = words.pop(0) if words else None
            if close != ")":
                raise ValueError(f"not a licence expression: {expression}")
            return result
        if not words or words[0] in ("OR", "AND", "WITH", ")"):
            raise ValueError(f"not a licence expression: {expression}")
        name = words.pop(0)
        if words[:1] == ["WITH"] and len(words) > 1:
            name = f"{name} WITH {words[1]}"
            del words[:2]
        return name in licences

    result = either()
    if words:
        raise ValueError(f"not a licence expression: {expression}")
    return result


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    licences, sources = set(rules["licenses"]["allow"]), set(rules["sources"]["allow-registry"])
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)["packages"]

    faults = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        expression = package["license"]
        try:
            if not expression:
                faults.append(f"{name}: no licence expression")
            elif not allowed(expression, licences):
                faults.append(f"{name}: {expression} is not allowed by deny.toml")
        except ValueError as error:
            faults.append(f"{name}: {error}")
        source = package["source"]
        if source is not None and source.removeprefix("registry+") not in sources:
            faults.append(f"{name}: comes from {source}, which deny.toml does not allow")

    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"licences: {len(packages)} packages, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
