"""The cases: what is measured, who takes part, and the ratio that is our target."""

from dataclasses import dataclass, field


@dataclass
class Peer:
    """A program that ours is compared with. `target` is how many times as fast we want to be."""

    name: str
    program: str  # ours, burn, or a script in this folder
    arguments: list
    target: float | None = None
    # Whether its `check` must agree with ours. Limits compute something else.
    checked: bool = True


@dataclass
class Case:
    """One problem, solved by our program and by every peer in turn."""

    part: str
    name: str
    ours: list
    peers: list
    # The maximum difference from our `check`.
    tolerance: float
    modes: list = field(default_factory=lambda: ["queued"])
    program: str = "ours"


# For each element of the sum of parameters. Rounding and the placement of epsilon change it less; a
# missing step changes it by 6e-3.
STEP_TOLERANCE = 1e-6
# As a share of the loss of a model that always predicts 0. Losses after other shuffles are this close.
LOSS_TOLERANCE = 0.015


def step_cases(quick, program="ours", note=""):
    """`program` may be compiled for fewer instructions than the machine has."""
    fused = {4096: 10.0, 1 << 20: 1.25, 1 << 24: 1.0, 1 << 26: 1.0}
    for size in [4096] if quick else fused:
        limit = 0.95 if size >= 1 << 24 else None
        yield Case(
            "step",
            f"CPU step{note}, {size:,} elements",
            ["step", "cpu", size],
            [
                Peer("PyTorch fused", "step.py", ["fused", size], fused[size]),
                Peer("PyTorch foreach", "step.py", ["foreach", size]),
                Peer("optax jitted, donated", "step.py", ["optax", size]),
                Peer("additions, same traffic", program, ["step", "traffic", size], limit, False),
            ],
            STEP_TOLERANCE * size,
            program=program,
        )


def burn_cases(quick):
    targets = {4096: 1.5, 1 << 20: 1.5, 1 << 24: 1.0}
    for size in [4096] if quick else targets:
        yield Case(
            "burn",
            f"GPU step, {size:,} elements",
            ["step", "gpu", size],
            [Peer("Burn AdaGrad", "burn", [size], targets[size])],
            STEP_TOLERANCE * size,
            ["queued", "waited", "lazy"],
        )


def train_cases(quick, airfoil):
    for engine, target in [("cpu", 50.0), ("gpu", 5.0)] if airfoil else []:
        yield Case(
            "train",
            f"airfoil, 150 batches of 10, {engine}",
            ["airfoil", engine, airfoil],
            [
                Peer("PyTorch, DataLoader", "train.py", ["dataloader", airfoil], target),
                Peer("PyTorch, shuffled indices", "train.py", ["autograd", airfoil]),
                Peer("PyTorch, gradient by hand", "train.py", ["manual", airfoil]),
                Peer("scikit-learn SGDRegressor", "train.py", ["sgdregressor", airfoil]),
            ],
            LOSS_TOLERANCE * 0.5,  # the target column has a variance of 1
        )
    shapes = [(1_000_000, 256, 8192), (100_000, 4096, 1024)]
    for shape in [(20_000, 64, 256)] if quick else shapes:
        rows, features, batch = shape
        yield Case(
            "train",
            f"{rows:,} x {features:,}, batches of {batch:,}, cpu",
            ["dense", *shape],
            [
                Peer("PyTorch, shuffled indices", "train.py", ["autograd", *shape], 1.2),
                Peer("PyTorch, gradient by hand", "train.py", ["manual", *shape], 1.2),
                Peer("reading the rows", "ours", ["gather", *shape], 0.8, False),
            ],
            # Features and weights are uniform in [-1, 1).
            LOSS_TOLERANCE * features / 18,
        )


def sparse_cases(files, quick):
    """A classifier of sparse rows. Both programs read the same file, in mode `whole` every time."""
    for (rows, features, entries), file in files.items():
        yield Case(
            "sparse",
            f"{rows:,} rows of {entries} of {features:,} features, logistic, cpu",
            [file],
            [Peer("scikit-learn SGDClassifier", "sparse.py", [file], 1.0)],
            # The check is the share of rows that is classified correctly. Rules and shuffles differ.
            0.2 if quick else 0.02,
            ["epoch", "whole"],
            "fit.py",
        )


def sparse_shapes(quick):
    return [(2_000, 1_000, 50)] if quick else [(1_000_000, 1_000_000, 50)]
