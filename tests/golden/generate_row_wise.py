"""Writes torchrec.txt: single steps of TorchRec's row-wise Adagrad.

    venv/bin/pip install --no-deps torchrec==1.9.2
    venv/bin/python tests/golden/generate_row_wise.py

It also needs the requirements of generate.py. The inputs are those of generate.py, except for the
magnitudes of the gradients. The optimizer's file is loaded by itself, because its package needs more
than the optimizer does.
"""

import importlib.metadata
import importlib.util
import platform

from generate import OUT, SEED, hashed, initial, number

import numpy as np
import torch

STEPS = 100
COMPARED_STEPS = (1, 2, 10, 100)
# Numbers of rows and their lengths, on both sides of the 32 partial sums of our order.
TABLES = [(6, 8), (3, 40)]


def row_wise_adagrad():
    package = importlib.util.find_spec("torchrec").submodule_search_locations[0]
    path = f"{package}/optim/rowwise_adagrad.py"
    spec = importlib.util.spec_from_file_location("rowwise_adagrad", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.RowWiseAdagrad


def floats(bits, rows, width):
    return torch.from_numpy(np.array(bits, np.uint32).view(np.float32).reshape(rows, width).copy())


def gradients(step, length):
    """Magnitudes from 2^-4 up to 2^4, so that every element of a row counts."""
    hashes = (hashed(step, index) for index in range(length))
    return [number(h, -4 + (h >> 8 & 0xFFFF) % 8) for h in hashes]


def main():
    optimizer_class = row_wise_adagrad()
    torch.set_num_threads(1)
    lines = [
        f"# TorchRec's RowWiseAdagrad: x and s around single steps of {STEPS}. Format: README.md.",
        f"# made by: python tests/golden/generate_row_wise.py, python {platform.python_version()}",
        f"# versions: torch {torch.__version__}; torchrec "
        f"{importlib.metadata.version('torchrec')}; numpy {np.__version__}; x86-64 limited to AVX2",
        f"seed {SEED}",
        "compared " + " ".join(map(str, COMPARED_STEPS)),
    ]
    cases = [
        {},
        {"lr": 0.1, "eps": 0.001, "lr_decay": 0.01},
        {"initial_accumulator_value": 0.1, "maximize": True},
    ]
    ours = {"lr": "learning_rate", "eps": "epsilon", "lr_decay": "learning_rate_decay"}
    ours |= {"initial_accumulator_value": "initial_accumulator", "maximize": "maximize"}
    shown = {s for step in COMPARED_STEPS for s in (step - 1, step)}
    for rows, width in TABLES:
        for options in cases:
            lines += ["", f"case {rows} {width}"]
            lines += [f"set {ours[key]} {str(value).lower()}" for key, value in options.items()]
            x = torch.nn.Parameter(floats(list(map(initial, range(rows * width))), rows, width))
            optimizer = optimizer_class([x], **options)
            for step in range(STEPS + 1):
                if step > 0:
                    x.grad = floats(gradients(step, rows * width), rows, width)
                    optimizer.step()
                if step in shown:
                    state = optimizer.state[x]["sum"]
                    for name, vector in (("x", x.detach()), ("s", state)):
                        bits = vector.numpy().view(np.uint32).ravel()
                        lines.append(f"{name} {step} " + " ".join(f"{b:08x}" for b in bits))
    (OUT / "torchrec.txt").write_text("\n".join(lines) + "\n")


main()
