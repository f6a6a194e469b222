"""The command `wgpu-optim fit` as a contestant: fit.py FILE, which is LIBSVM text.

Mode `epoch` is what the command tells of a pass over the rows, the loss at its end included; `whole`
is the process from start to end. WGPU_OPTIM names the program.
"""

import json
import os
import subprocess
import sys
import time

from contestant import answer

[file] = sys.argv[1:]
COMMAND = [os.environ["WGPU_OPTIM"], "fit", file, "--loss", "logistic", "--epochs", "1"]


def fit(*options):
    command = [*COMMAND, "--device", "cpu", "--quiet", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def whole(_):
    start = time.perf_counter()
    fit()
    return time.perf_counter() - start


report = json.loads(fit("--json"))
measures = {"epoch": lambda _: json.loads(fit("--json"))["seconds_per_epoch"], "whole": whole}
answer(report["metrics"]["accuracy"], "CPU engine", measures)
