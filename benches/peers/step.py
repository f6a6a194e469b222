"""One step of Adagrad in PyTorch or optax: step.py fused|foreach|optax ELEMENTS."""

import sys

from contestant import (
    CHECKED_STEPS, EPSILON, LEARNING_RATE, THREADS, WARM_UP, answer, seconds_per_step, values,
)  # fmt: skip


def pytorch(length, implementation):
    """torch.optim.Adagrad on one tensor with a given gradient."""
    import torch

    torch.set_num_threads(THREADS)
    parameters = torch.nn.Parameter(torch.from_numpy(values(length)))
    parameters.grad = torch.from_numpy(values(length))
    optimizer = torch.optim.Adagrad(
        [parameters], lr=LEARNING_RATE, eps=EPSILON, **{implementation: True}
    )

    def run(steps):
        for _ in range(steps):
            optimizer.step()

    run(CHECKED_STEPS)
    check = parameters.detach().double().sum().item()
    run(WARM_UP)
    answer(check, f"PyTorch {torch.__version__}", lambda budget: seconds_per_step(run, budget))


def optax_step(length):
    """optax.adagrad, compiled. Parameters and state are updated in place."""
    import jax
    import numpy
    import optax

    optimizer = optax.adagrad(LEARNING_RATE, initial_accumulator_value=0.0, eps=EPSILON)
    parameters, gradient = jax.numpy.array(values(length)), jax.numpy.array(values(length))
    current = parameters, optimizer.init(parameters)

    def update(parameters, state, gradient):
        updates, state = optimizer.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state

    update = jax.jit(update, donate_argnums=(0, 1))

    def run(steps):
        nonlocal current
        for _ in range(steps):
            current = update(*current, gradient)
        jax.block_until_ready(current)

    run(CHECKED_STEPS)
    check = numpy.asarray(current[0]).sum(dtype="f8")
    run(WARM_UP)
    device = f"optax {optax.__version__}, JAX {jax.__version__}"
    answer(check, device, lambda budget: seconds_per_step(run, budget))


kind, length = sys.argv[1], int(sys.argv[2])
if kind == "optax":
    optax_step(length)
else:
    pytorch(length, kind)
