#!/usr/bin/env python3
"""Trains the example's network in PyTorch, and compares every step's loss with ours.

    cargo run --release --manifest-path burn/Cargo.toml --example sparse_nn -- --export DIR
    python3 burn/examples/sparse_nn/compare.py DIR

The columns are the largest differences of step losses, in the first steps and in all; "to 1e-5" is the
number of steps before ours first differs from PyTorch's by more than that.

It needs PyTorch and NumPy (pip install torch numpy); a CPU is enough. DIR has the initial weights, the
data and the order of the rows, as export.rs describes them.

Bounds. Both compute the same function in f32, and round differently. Training carries rounding
errors on, and makes them larger where a ReLU switches, where the loss jumps, and where RMSprop and Adam
divide small gradients by their own size; no bound from the formulas alone would say anything after
some hundred steps. So the bound is measured. PyTorch trains once in f64; then in f32, as it is; and then
several times in f32 with errors such as shaders may make: each gradient times 1 + e, where e is
random and at most 2**-18 = 32 units in the last place. WGSL allows exp(x), which every gradient has as a
factor, an error of 3 + 2 |x| units, and a division 2.5. Up to each step, the largest difference of
these f32 trainings from the one in f64 is what rounding does to this training. Ours may be FACTOR
times as far from f64, as it is one more such training and may be the worst of many, plus FLOOR, the
rounding of the losses themselves. A slightly wrong formula is beyond that within a few steps: --wrong
shows it.

Exit status: 0 all within the bounds; 1 not; 2 the arguments or the files are wrong."""

import argparse
import json
import pathlib
import sys

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"error: {error}: pip install torch numpy", file=sys.stderr)
    sys.exit(2)

FACTOR = 4.0
FLOOR = 5e-7
ERROR = 2.0**-18
# Test rows whose classes may differ, and a difference of losses that is reported.
ROWS = 2
AGREED = 1e-5
WEIGHTS = ["hidden_weight", "hidden_bias", "output_weight", "output_bias"]
RULES = {
    "adagrad": lambda parameters, rate: torch.optim.Adagrad(parameters, lr=rate),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate),
    "rmsprop": lambda parameters, rate: torch.optim.RMSprop(parameters, lr=rate, alpha=0.99),
}
NAMES = {"adagrad": "Adagrad", "sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop"}
# Slightly different hyper-parameters, which the comparison has to find.
WRONG = {
    "adagrad": lambda parameters, rate: torch.optim.Adagrad(parameters, lr=rate, eps=1e-6),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9001),
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate, eps=1e-7),
    "rmsprop": lambda parameters, rate: torch.optim.RMSprop(parameters, lr=rate, alpha=0.9901),
}


class Export:
    """The files of the example's --export."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        settings = json.loads((self.directory / "settings.json").read_text())
        self.settings = settings
        self.rate = settings["learning_rate"]
        self.training_rows = settings["training_rows"]
        self.features = self.read("features", "<f4", settings["rows"], settings["features"])
        self.labels = self.read("labels", "<f4", settings["rows"], 1)
        self.order = self.read("order", "<u4", settings["epochs"], self.training_rows)
        inputs, hidden = settings["features"], settings["hidden"]
        shapes = [(inputs, hidden), (hidden,), (hidden, 1), (1,)]
        self.weights = [self.read(name, "<f4", *shape) for name, shape in zip(WEIGHTS, shapes)]
        steps = settings["epochs"] * -(-self.training_rows // settings["batch_size"])
        held_out = settings["rows"] - self.training_rows
        self.ours = {
            name: (self.read(f"losses_{name}", "<f4", steps).astype(np.float64),
                   self.read(f"logits_{name}", "<f4", held_out))
            for name in RULES
        }

    def read(self, name, kind, *shape):
        suffix = "u32" if kind == "<u4" else "f32"
        return np.fromfile(self.directory / f"{name}.{suffix}", kind).reshape(shape)

    def batches(self):
        """The rows of each step."""
        size = self.settings["batch_size"]
        for order in self.order:
            for first in range(0, len(order), size):
                yield order[first : first + size].astype(np.int64)


def train(export, rule, kind, noise=0):
    """Each step's loss before it, and the logits of the held-out rows. With a number as `noise`,
    gradients have the errors that it draws."""
    generator = torch.Generator().manual_seed(noise)
    features, labels = (torch.tensor(a, dtype=kind) for a in (export.features, export.labels))
    parameters = [torch.tensor(w, dtype=kind, requires_grad=True) for w in export.weights]
    w1, b1, w2, b2 = parameters

    def logits(rows):
        return torch.relu(rows @ w1 + b1) @ w2 + b2

    optimizer = rule(parameters, export.rate)
    losses = []
    for rows in export.batches():
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(logits(features[rows]), labels[rows])
        loss.backward()
        for parameter in parameters if noise else []:
            error = 2 * torch.rand(parameter.shape, generator=generator) - 1
            parameter.grad *= 1 + ERROR * error
        optimizer.step()
        losses.append(loss.detach())
    with torch.no_grad():
        held_out = logits(features[export.training_rows :])
    return torch.stack(losses).double().numpy(), held_out.double().numpy().ravel()


def compare(export, name, rule, early, trainings):
    """Prints a rule's line; whether all is within the bounds."""
    ours, our_logits = export.ours[name]
    exact, _ = train(export, rule, torch.float64)
    runs = [train(export, rule, torch.float32, noise) for noise in range(trainings + 1)]
    theirs, their_logits = runs[0]

    # The largest so far, at each step.
    so_far = lambda losses: np.maximum.accumulate(np.abs(losses - exact))
    rounding = np.max([so_far(losses) for losses, _ in runs], axis=0)
    bound = FACTOR * rounding + FLOOR
    beyond = ~(so_far(ours) <= bound)
    difference = np.abs(ours - theirs)

    labels = export.labels[export.training_rows :].ravel() > 0
    right = lambda logits: int(np.sum((logits > 0) == labels))
    counts = right(our_logits), right(their_logits)
    at = min(early, len(ours)) - 1
    agreed = np.argmax(difference > AGREED) if (difference > AGREED).any() else len(ours)
    within = not beyond.any() and abs(counts[0] - counts[1]) <= ROWS
    print(
        f"{NAMES[name]:<8} {difference[: at + 1].max():9.1e} {difference.max():9.1e} {agreed:9}   "
        f"{so_far(ours)[at]:9.1e} {bound[at]:9.1e}   {so_far(ours)[-1]:9.1e} {bound[-1]:9.1e}   "
        f"{counts[0] / labels.size:6.4f} {counts[1] / labels.size:8.4f}"
        + ("" if within else "   BEYOND")
        + (f" from step {np.argmax(beyond) + 1}" if beyond.any() else "")
    )
    return within


def main():
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    option("directory", metavar="DIR", help="what --export wrote")
    option("--first", type=int, default=100, metavar="N",
           help="also compare the first N steps alone (default 100)")
    option("--trainings", type=int, default=8, metavar="N",
           help="trainings with errors that measure what rounding does (default 8)")
    option("--wrong", action="store_true",
           help="with slightly other hyper-parameters, which has to fail")
    arguments = parser.parse_args()
    if arguments.first < 1 or arguments.trainings < 1:
        parser.error("--first and --trainings are at least 1")
    try:
        export = Export(arguments.directory)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"{arguments.directory} is no complete export of the example: {error}")

    # Losses do not depend on the number of processors then, and small networks are faster.
    torch.set_num_threads(1)
    settings = export.settings
    first = f"first {arguments.first}"
    print(
        f"PyTorch {torch.__version__}; {settings['epochs']} epochs, batches of "
        f"{settings['batch_size']}, learning rate {export.rate}, seed {settings['seed']}, "
        f"{settings['precision']} precision\n\n"
        f"{'':8} {'ours - PyTorch':>19} {'':9}   {'ours - f64':>19}   {'ours - f64':>19}   "
        f"{'test accuracy':>15}\n"
        f"{'steps':8} {first:>9} {'all':>9} {'to 1e-5':>9}   {first:>9} {'bound':>9}   "
        f"{'all':>9} {'bound':>9}   {'ours':>6} {'PyTorch':>8}",
        flush=True,
    )
    rules = WRONG if arguments.wrong else RULES
    checks = [
        compare(export, name, rule, arguments.first, arguments.trainings)
        for name, rule in rules.items()
    ]
    sys.exit(0 if all(checks) else 1)


if __name__ == "__main__":
    main()
