"""The command `wgpu-optim fit` as a contestant: fit.py FILE, where FILE is LIBSVM text.

Mode `epoch` is the time of an epoch as the command reports it, including the loss at its end. Mode
`whole` is the whole process. WGPU_OPTIM names the program.
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
