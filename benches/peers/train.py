"""Epochs of linear regression in PyTorch or scikit-learn.

train.py dataloader|autograd|manual|sgdregressor FILE           the textbook's experiment
train.py autograd|manual ROWS FEATURES BATCH                    a large dense problem
"""

import sys
import time

import numpy as np

from contestant import THREADS, answer, dense_data, seconds_per_epoch

LEARNING_RATE = 0.1


class Torch:
    """Linear regression by minibatches with fused Adagrad.

    `dataloader` is the textbook's way: a DataLoader, a module, a loss and its backward pass.
    `autograd` shuffles indices instead. `manual` does too, and computes the gradient by formula.
    """

    def __init__(self, features, target, kind, batch, epochs, evaluate_every):
        import torch

        torch.set_num_threads(THREADS)
        self.torch, self.kind, self.batch = torch, kind, batch
        self.epochs, self.evaluate_every = epochs, evaluate_every
        self.features, self.target = torch.from_numpy(features), torch.from_numpy(target)

    def begin(self):
        torch = self.torch
        columns = self.features.shape[1]
        self.layer = torch.nn.Linear(columns, 1)
        torch.nn.init.normal_(self.layer.weight, std=0.01)
        torch.nn.init.zeros_(self.layer.bias)
        parameters = list(self.layer.parameters())
        self.optimizer = torch.optim.Adagrad(parameters, lr=LEARNING_RATE, fused=True)
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)

    def batches(self):
        torch = self.torch
        if self.kind == "dataloader":
            data = torch.utils.data.TensorDataset(self.features, self.target)
            yield from torch.utils.data.DataLoader(data, self.batch, shuffle=True)
            return
        for index in torch.randperm(len(self.target)).split(self.batch):
            yield self.features.index_select(0, index), self.target.index_select(0, index)

    def step(self, features, target):
        torch = self.torch
        if self.kind == "manual":
            with torch.no_grad():
                weights, bias = self.layer.weight, self.layer.bias
                residual = torch.addmv(bias, features, weights[0]).sub_(target)
                torch.mv(features.t(), residual, out=weights.grad[0]).div_(len(target))
                bias.grad[0] = residual.mean()
        else:
            loss = torch.nn.functional.mse_loss(self.layer(features).view(-1), target) / 2
            self.optimizer.zero_grad()
            loss.backward()
        self.optimizer.step()

    def loss(self):
        with self.torch.no_grad():
            prediction = self.layer(self.features).view(-1)
            return self.torch.nn.functional.mse_loss(prediction, self.target).item() / 2

    def run(self):
        """Trains, and returns the seconds per epoch."""
        self.begin()
        start = time.perf_counter()
        for _ in range(self.epochs):
            examples = 0
            for features, target in self.batches():
                self.step(features, target)
                examples += len(target)
                if self.evaluate_every and examples % self.evaluate_every == 0:
                    self.last = self.loss()
            if not self.evaluate_every:
                self.last = self.loss()
        return (time.perf_counter() - start) / self.epochs

    def compete(self):
        self.run()
        device = f"PyTorch {self.torch.__version__}"
        answer(self.last, device, lambda budget: seconds_per_epoch(self.run, budget))


def sgd_regressor(features, target):
    """scikit-learn's plain SGD, one example at a time: two epochs, the loss every 100 examples."""
    import sklearn
    from sklearn.linear_model import SGDRegressor

    generator = np.random.default_rng(0)
    last = 0.0

    def run():
        nonlocal last
        model = SGDRegressor(penalty=None)
        start = time.perf_counter()
        for _ in range(2):
            order = generator.permutation(len(target))
            for first in range(0, len(order), 100):
                index = order[first : first + 100]
                model.partial_fit(features[index], target[index])
                last = float(np.mean((model.predict(features) - target) ** 2)) / 2
        return (time.perf_counter() - start) / 2

    run()
    device = f"scikit-learn {sklearn.__version__}"
    answer(last, device, lambda budget: seconds_per_epoch(run, budget))


kind, *where = sys.argv[1:]
if len(where) == 1:
    table = np.fromfile(where[0], dtype="<f4").reshape(-1, 6)
    features, target = np.ascontiguousarray(table[:, :5]), np.ascontiguousarray(table[:, 5])
    if kind == "sgdregressor":
        sgd_regressor(features, target)
    else:
        Torch(features, target, kind, batch=10, epochs=2, evaluate_every=100).compete()
else:
    rows, columns, batch = map(int, where)
    features, target = dense_data(rows, columns)
    Torch(features, target, kind, batch, epochs=1, evaluate_every=0).compete()
