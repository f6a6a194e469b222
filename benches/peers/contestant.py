"""Shared by the contestants in Python: the data, the same as in ours/, and the protocol."""

import json
import os
import sys
import time

import numpy as np

THREADS = int(os.environ["OMP_NUM_THREADS"])
LEARNING_RATE = 0.01
# With gradients of about 1, the placement of epsilon makes no difference.
EPSILON = 1e-10
CHECKED_STEPS = 3
WARM_UP = 20


def answer(check, device, measure):
    """Prints the check, then answers each line "MODE SECONDS" with a time. `measure` is a function of
    the seconds, or a dictionary with such a function for each mode."""
    print(json.dumps({"check": float(check), "device": device}), flush=True)
    for line in sys.stdin:
        mode, budget = line.split()
        chosen = measure[mode] if isinstance(measure, dict) else measure
        print(json.dumps({"seconds": chosen(float(budget))}), flush=True)


def seconds_per_step(run, budget):
    """The seconds of one step. `run(steps)` takes that many steps and waits for them."""

    def seconds(steps):
        start = time.perf_counter()
        run(steps)
        return (time.perf_counter() - start) / steps

    once = seconds(4)
    return seconds(int(min(max(budget / once, 1), 1e6)))


def seconds_per_epoch(run, budget):
    """The mean over runs for about `budget` seconds. `run()` returns its seconds per epoch."""
    total, runs = 0.0, 0
    while runs == 0 or total < budget:
        total += run()
        runs += 1
    return total / runs


def values(length):
    """Numbers between 0.5 and 1.5, each different from its neighbours."""
    index = np.arange(length, dtype=np.uint32) * np.uint32(2_654_435_761)
    return (index >> np.uint32(8)).astype(np.float32) / np.float32(2**24) + np.float32(0.5)


def uniform(index):
    """A number in [-1, 1) for each index: the finalizer "lowbias32"."""
    index = index ^ (index >> np.uint32(16))
    index *= np.uint32(0x7FEB352D)
    index ^= index >> np.uint32(15)
    index *= np.uint32(0x846CA68B)
    index ^= index >> np.uint32(16)
    return (index >> np.uint32(8)).astype(np.float32) / np.float32(2**23) - np.float32(1)


def dense_data(rows, columns):
    """A regression problem with uniform noise in [-0.1, 0.1)."""
    weights = uniform(np.arange(columns, dtype=np.uint32) + np.uint32(1 << 31))
    noise = uniform(np.arange(rows, dtype=np.uint32) + np.uint32(3 << 30))
    features = np.empty((rows, columns), dtype=np.float32)
    for first in range(0, rows, 1000):
        part = features[first : first + 1000]
        index = np.arange(first * columns, first * columns + part.size, dtype=np.uint32)
        part[:] = uniform(index).reshape(part.shape)
    return features, features @ weights + np.float32(0.1) * noise
