"""Trains what the example has trained with PyTorch: the same network from the same initial weights, the
same images in the same order, the same rules and learning rates. Prints both results, side by side.

    cargo run --release --manifest-path burn/Cargo.toml --example lenet -- --export DIR
    python3 burn/examples/lenet/compare.py DIR

They do not agree to the bit: a difference in the last bit of a sum grows from step to step. `--within` is
the difference in accuracy, in points, above which the exit code is 1.
"""

import argparse
import gzip
import pathlib
import sys
import time

import numpy
import torch
from torch import nn

MEAN, DEVIATION = 0.2860, 0.3530
RULES = {
    "adagrad": lambda parameters, rate: torch.optim.Adagrad(parameters, lr=rate),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
    "rmsprop": lambda parameters, rate: torch.optim.RMSprop(parameters, lr=rate),
    "adadelta": lambda parameters, rate: torch.optim.Adadelta(parameters, lr=rate),
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate),
}


def idx(directory, name, header):
    """The bytes of an idx file after its header."""
    path = directory / name
    if path.exists():
        data = path.read_bytes()
    else:
        data = gzip.decompress((directory / f"{name}.gz").read_bytes())
    return torch.from_numpy(numpy.frombuffer(data, numpy.uint8, offset=header).copy())


def part(directory, name):
    """Images, with mean 0 and deviation 1, and labels."""
    pixels = idx(directory, f"{name}-images-idx3-ubyte", 16).view(-1, 1, 28, 28)
    labels = idx(directory, f"{name}-labels-idx1-ubyte", 8).long()
    return (pixels / 255 - MEAN) / DEVIATION, labels


def network(weights):
    """LeNet-5 with the exported weights."""
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )
    start = 0
    with torch.no_grad():
        for layer in net:
            for parameter in layer.parameters():
                values = weights[start:start + parameter.numel()]
                start += parameter.numel()
                if isinstance(layer, nn.Linear) and parameter.dim() == 2:
                    # Burn's matrices are [inputs, outputs].
                    values = values.view(parameter.shape[1], parameter.shape[0]).T
                parameter.copy_(values.reshape(parameter.shape))
    if start != len(weights):
        sys.exit(f"error: weights.f32 has {len(weights)} weights, but the network {start}")
    return net


def train(net, optimizer, images, labels, order, batch_size):
    """The mean loss of the last epoch's batches, each before its step."""
    for epoch in order:
        total = 0.0
        for batch in epoch.split(batch_size):
            loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
    return total / order.shape[1]


def accuracy(net, images, labels):
    with torch.no_grad():
        right = [(net(x).argmax(1) == y).sum() for x, y in zip(images.split(500), labels.split(500))]
    return sum(right).item() / len(labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("export", type=pathlib.Path, help="what the example's --export wrote")
    parser.add_argument("--data", type=pathlib.Path, default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--within", type=float, default=5.0, help="points of accuracy (5)")
    args = parser.parse_args()
    try:
        head, *lines = (args.export / "results.tsv").read_text().splitlines()
        weights = torch.from_numpy(numpy.fromfile(args.export / "weights.f32", "<f4"))
        order = numpy.fromfile(args.export / "order.u32", "<u4").astype(numpy.int64)
        images, labels = part(args.data, "train")
        test = part(args.data, "t10k")
    except OSError as error:
        sys.exit(f"error: {error}: give the directory of --export, and that of the images with --data")
    words = head.split()[1:]
    run = dict(zip(words[::2], map(int, words[1::2])))
    order = torch.from_numpy(order).view(run["epochs"], run["images"])
    print(f"PyTorch {torch.__version__}; {head[2:]}")
    print("rule       rate     loss: ours  PyTorch   accuracy: ours  PyTorch  difference   seconds")
    worst = 0.0
    for line in lines:
        name, *numbers = line.split("\t")
        rate, our_loss, our_accuracy, _ = map(float, numbers)
        net = network(weights)
        start = time.perf_counter()
        loss = train(net, RULES[name](net.parameters(), rate), images, labels, order, run["batch_size"])
        seconds = time.perf_counter() - start
        its = accuracy(net, *test)
        difference = 100 * (our_accuracy - its)
        worst = max(worst, abs(difference))
        print(f"{name:<9} {rate:>6}  {our_loss:>13.4f} {loss:>8.4f}  {our_accuracy:>14.2%} {its:>8.2%}"
              f"  {difference:>+10.2f} {seconds:>9.1f}", flush=True)
    if worst > args.within:
        sys.exit(f"error: accuracies differ by up to {worst:.2f} points, more than {args.within}")


if __name__ == "__main__":
    main()
