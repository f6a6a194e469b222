#!/usr/bin/env python3
"""Checks the relative links of every Markdown file, and that the library's package has what its pages name.

    python3 tests/release/links.py

A link must lead to a tracked file or folder, and its anchor to a heading. crates.io resolves the links of a
packaged README against the repository; readers of the package itself need the files, so a link from a packaged
page, or a page that the documentation in src/ names, must be in the package too, unless it belongs to
another package of this repository.

>>> slug("The `Rule` trait: 2 ways")
'the-rule-trait-2-ways'
>>> links("[a](b.md#c) and ![d](e.svg)\\n```\\n[no](link)\\n```\\n[f](https://g) `[h](i)`")
['b.md#c', 'e.svg', 'https://g']
"""

import pathlib
import posixpath
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
OTHER_PACKAGES = ("burn", "cli")


def output(*command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def slug(heading):
    """The anchor that GitHub makes of a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def prose(text):
    """A page without its code."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def links(text):
    return re.findall(r"\]\(([^)\s]+)[^)]*\)", prose(text))


def anchors(text):
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}


def main():
    tracked = set(output("git", "ls-files").splitlines())
    folders = {parent.as_posix() for path in tracked for parent in pathlib.PurePath(path).parents}
    package = set(output("cargo", "package", "--package", "wgpu-optim", "--list", "--allow-dirty").splitlines())
    packaged_folders = {parent.as_posix() for path in package for parent in pathlib.PurePath(path).parents}
    faults, count = [], 0

    pages = sorted(path for path in tracked if path.endswith(".md"))
    for page in pages:
        for link in links((ROOT / page).read_text()):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            path, _, anchor = link.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
            if target not in tracked and target not in folders:
                faults.append(f"{page}: {link}: nothing is tracked there")
            elif anchor and anchor not in anchors((ROOT / target).read_text()):
                faults.append(f"{page}: {link}: no heading makes this anchor")
            elif page in package and target not in package | packaged_folders:
                if target.split("/")[0] not in OTHER_PACKAGES:
                    faults.append(f"{page}: {link}: not in the package; see `include` in Cargo.toml")

    for source in sorted(path for path in package if path.startswith("src/")):
        for line in (ROOT / source).read_text().splitlines():
            if not line.lstrip().startswith(("///", "//!")):
                continue
            for target in re.findall(r"(?<![\w./])(?:docs|benches|examples)/[\w./-]*\w", line):
                count += 1
                if target not in package | packaged_folders:
                    faults.append(f"{source}: names {target}, which is not in the package")

    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"links: {count} in {len(pages)} pages and in src/, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
