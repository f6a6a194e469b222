"""PyTorch's Adagrad on CUDA: pytorch_adagrad.py RECORD SECONDS [--device DEVICE].

Measures one step of torch.optim.Adagrad, fused, foreach and compiled, and a copy, for sizes at which
the record has a step of ours, and for a thousand tensors. Prints rows with the record's columns.
Without PyTorch or the device it says so and ends with status 3.
"""

import argparse
import csv
import signal
import statistics
import sys
import time

LEARNING_RATE, EPSILON = 0.01, 1e-10
# After CHECKED_STEPS steps, the sum of the last parameters, at most BLOCK of them, may differ from the
# exact sum by TOLERANCE for each of them.
CHECKED_STEPS, BLOCK, TOLERANCE = 3, 1 << 20, 1e-6
# How many tensors, and how many elements each has: as in parts/groups.rs.
TENSORS, LENGTH = 1000, 1000
STEP_BYTES, COPY_BYTES = 20, 8
# As in timing.rs.
ROUNDS, SAMPLE, MAX_STEPS = 9, 0.03, 1000
MODES = ["queued", "waited"]
ABSENT = 3


def absent(why):
    print(why, file=sys.stderr)
    sys.exit(ABSENT)


try:
    import torch
except ImportError as error:
    absent(f"PyTorch: {error}")


class Contestant:
    """One way to do a step; `error` is set if its first three gave a wrong result."""

    def __init__(self, name, step, traffic, check=None, error=None):
        self.name, self.step, self.traffic = name, step, traffic
        self.check, self.error = check, error


def values(length):
    """Numbers between 0.5 and 1.5, with as many distinct values as in parts/step.rs."""
    index = torch.arange(min(length, BLOCK), dtype=torch.int64) * 2_654_435_761 % (1 << 32)
    block = (index >> 8).to(torch.float32) / (1 << 24) + 0.5
    return block.repeat(-(-length // BLOCK))[:length]


def expected_check(length):
    """The sum after three steps, in double precision."""
    gradient = values(min(length, BLOCK)).double()
    parameters, squares = gradient.clone(), torch.zeros_like(gradient)
    for _ in range(CHECKED_STEPS):
        squares += gradient**2
        parameters -= LEARNING_RATE * gradient / (squares.sqrt() + EPSILON)
    return parameters.sum().item()


def adagrad(implementation, gradients):
    """A contestant over tensors that start from their gradients, after three steps."""
    parameters = [torch.nn.Parameter(gradient.clone()) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient
    options = {"fused": True} if implementation == "fused" else {"foreach": True}
    optimizer = torch.optim.Adagrad(parameters, lr=LEARNING_RATE, eps=EPSILON, **options)

    def step():
        optimizer.step()

    if implementation == "compiled":
        step = torch.compile(step, dynamic=False)
    for _ in range(CHECKED_STEPS):
        step()
    last = parameters[-1].detach()[-BLOCK:]
    check, expected = last.double().sum().item(), expected_check(len(parameters[-1]))
    wrong = not abs(check - expected) <= TOLERANCE * len(last)
    error = f"the sum after three steps should be {expected}" if wrong else None
    traffic = STEP_BYTES * sum(map(len, gradients))
    return Contestant(f"PyTorch {implementation}", step, traffic, check, error)


def copy(source):
    target = torch.empty_like(source)
    return Contestant("PyTorch copy", lambda: target.copy_(source), COPY_BYTES * len(source))


class Measurement:
    """The cases, until the time is up."""

    def __init__(self, columns, device, seconds):
        self.device, self.deadline = device, time.perf_counter() + seconds
        self.writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        self.name = f"PyTorch {torch.__version__}, {device}"
        if device == "cuda":
            self.name += f" {torch.version.cuda} on {torch.cuda.get_device_name()}"

    def is_over(self):
        return time.perf_counter() >= self.deadline

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def write(self, case, elements, contestant, status, **rest):
        row = {"part": "pytorch", "case": case, "elements": elements, "contestant": contestant}
        rest["detail"] = " ".join(rest.get("detail", self.name).split())[:400]
        self.writer.writerow({**row, "status": status, **rest})
        sys.stdout.flush()

    def seconds(self, contestant, mode, steps):
        """Seconds for one of `steps` steps."""
        self.wait()
        start = time.perf_counter()
        for _ in range(steps):
            contestant.step()
            if mode == "waited":
                self.wait()
        self.wait()
        return (time.perf_counter() - start) / steps

    def compare(self, case, lengths, implementations):
        """Measures contestants over tensors of these lengths, samples interleaved."""
        elements = sum(lengths)
        # Compile each size separately, and free the memory of the sizes before it.
        torch.compiler.reset()
        if self.device == "cuda":
            torch.cuda.empty_cache()
        gradients = [values(length).to(self.device) for length in lengths]
        makers = {name: (adagrad, name, gradients) for name in implementations}
        if len(lengths) == 1:
            makers["copy"] = (copy, gradients[0])
        contestants = []
        for name, (make, *arguments) in makers.items():
            try:
                contestants.append(self.in_time(make, *arguments))
            except Exception as error:  # no time, memory, compiler or implementation
                status, detail = "failed", f"{type(error).__name__}: {error}"
                if self.is_over():
                    status, detail = "timeout", "no time to prepare it"
                self.write(case, elements, f"PyTorch {name}", status, detail=detail)
        for mode in MODES:
            self.compare_in(mode, case, elements, contestants)

    def in_time(self, make, *arguments):
        """What `make` returns; it fails when the time is up."""
        signal.setitimer(signal.ITIMER_REAL, max(self.deadline - time.perf_counter(), 1e-3))
        try:
            return make(*arguments)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def compare_in(self, mode, case, elements, contestants):
        once = [[self.seconds(one, mode, 1) for _ in range(3)][-1] for one in contestants]
        steps = [int(min(max(SAMPLE / seconds, 1), MAX_STEPS)) for seconds in once]
        samples = [[] for _ in contestants]
        for number in range(ROUNDS):
            for step in range(len(contestants)):
                index = (number + step) % len(contestants)
                if number == 0 or not self.is_over():
                    seconds = self.seconds(contestants[index], mode, steps[index])
                    samples[index].append(seconds)
        for contestant, seconds in zip(contestants, samples):
            self.report(mode, case, elements, contestant, seconds)

    def report(self, mode, case, elements, contestant, seconds):
        median = statistics.median(seconds)
        result = {"mode": mode, "status": "measured", "check": contestant.check}
        if contestant.error:
            result.update(status="failed", detail=contestant.error)
        for column, value in zip(["", "_min", "_max"], [median, min(seconds), max(seconds)]):
            result[f"seconds{column}"] = f"{value:.4e}"
        rate = f"{contestant.traffic / median / 1e9:.2f}"
        result.update(rounds=len(seconds), gigabytes_per_second=rate)
        self.write(case, elements, contestant.name, **result)


def stop(*_):
    raise TimeoutError("the time is up")


def rows(file):
    """The rows of a record, and its columns."""
    with open(file, newline="") as record:
        reader = csv.DictReader(line for line in record if not line.startswith("#"))
        return list(reader), reader.fieldnames


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--device", default="cuda")
    settings = parser.parse_args()
    device = settings.device
    if device == "cuda" and not torch.cuda.is_available():
        absent(f"PyTorch {torch.__version__} finds no CUDA device")
    ours, columns = rows(settings.record)
    measurement = Measurement(columns, device, settings.seconds)
    signal.signal(signal.SIGALRM, stop)
    many = f"{TENSORS} tensors of {LENGTH}", [LENGTH] * TENSORS
    measurement.compare(*many, ["fused", "foreach"])
    sizes = {int(row["elements"]) for row in ours if row["part"] == "step" and row["check"]}
    # Powers of 4 only, since each is compiled.
    for length in sorted(size for size in sizes if size.bit_length() % 2 == 1):
        measurement.compare("one tensor", [length], ["fused", "foreach", "compiled"])
    # Last, since it may take minutes to compile.
    measurement.compare(*many, ["compiled"])


if __name__ == "__main__":
    main()
