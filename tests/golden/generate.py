"""Writes pytorch.txt, optax.txt and keras.txt: Adagrad of each framework on the same gradients. Also
writes pytorch_rules.txt, optax_rules.txt and keras_rules.txt: single steps of the other rules, by
generate_rules.py.

    python -m venv venv && venv/bin/pip install -r tests/golden/requirements.txt
    venv/bin/python tests/golden/generate.py

README.md beside this file defines the format and the gradients, and derives the bound of
tests/golden.rs. The framework gets every scalar as the decimal number that the file shows, so its
own rounding of that number is included.
"""

import os
import pathlib
import platform
import sys

# The widest instruction set that all x86-64 machines of the last ten years share, so that the files
# do not depend on the machine. It must be set before the frameworks are imported.
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
os.environ["XLA_FLAGS"] = "--xla_cpu_max_isa=AVX2"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

SEED = 13
STEPS = 100
SHOWN_STEPS = (1, 2, 10, 100)
CHANGE_STEP = 51
SHOWN = {
    1: [0],
    7: list(range(7)),
    # 206 and 956 start at 0 and have gradients whose squares are subnormal.
    1000: sorted([*range(0, 1000, 25), 206, 956, *range(995, 1000)]),
}
OUT = pathlib.Path(__file__).parent
MASK = (1 << 64) - 1


def mix(z):
    """The finalizer of splitmix64, modulo 2^64."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def hashed(step, index):
    return mix((SEED + 0x9E3779B97F4A7C15 * ((step << 32) + index + 1)) & MASK)


def number(h, exponent):
    """Mantissa from the high bits of the hash, sign from bit 4: no arithmetic that could round."""
    return (h >> 4 & 1) << 31 | (exponent + 127) << 23 | h >> 41


def initial(index):
    h = hashed(0, index)
    return 0 if h >> 5 & 7 == 0 else number(h, -8 + (h >> 24 & 0xFF) % 12)


def gradient(step, index):
    of_element, h = hashed(0, index), hashed(step, index)
    if of_element & 15 == 0 or h & 15 == 0:
        return 0
    draw = h >> 8 & 0xFFFF
    if of_element & 15 <= 2:
        return number(h, -67 + draw % 101)
    centre = -67 + (of_element >> 8 & 0xFFFF) % 101
    return number(h, min(max(centre - 3 + draw % 7, -67), 33))


def root_error(roots, power):
    """The maximum relative error of a root over all f32 of [1, 4), and hence over all f32."""
    exact = ROOT_POINTS.astype(np.float64) ** power
    worst = np.abs(roots.astype(np.float64) / exact - 1).max() * 2**24
    return f"over all f32 of [1, 4) its relative error is at most {worst:.4f} * 2^-24"


def floats(bits):
    return np.array(bits, dtype=np.uint32).view(np.float32)


ROOT_POINTS = floats(np.arange(127 << 23, 129 << 23))
INITIAL = floats([initial(i) for i in range(1000)])
GRADIENTS = [floats([gradient(t, i) for i in range(1000)]) for t in range(1, STEPS + 1)]


class Case:
    """One optimizer: `call` is the Python that ran, `options` are the same settings under our names."""

    def __init__(self, name, call, change=None, **options):
        self.name, self.call, self.change, self.options = name, call, change, options


def write(name, framework, versions, notes, cases, run):
    lines = [
        f"# {framework}: x and the accumulator s over {STEPS} steps. Format: README.md.",
        f"# made by: python tests/golden/generate.py, python {platform.python_version()}",
        f"# versions: {versions}; numpy {np.__version__}; x86-64 limited to AVX2",
        *(f"# {note}" for note in notes),
        f"seed {SEED}",
        f"steps {STEPS}",
    ]
    for length, indices in SHOWN.items():
        lines.append(f"indices {length} " + " ".join(map(str, indices)))
    for case in cases:
        lines += ["", f"case {case.name}", f"call {case.call}"]
        lines += [f"set {key} {value}" for key, value in case.options.items()]
        if case.change is not None:
            lines.append(f"change {CHANGE_STEP} {case.change}")
        for length, indices in SHOWN.items():
            gradients = [g[:length].copy() for g in GRADIENTS]
            for step, x, s in run(case, INITIAL[:length].copy(), gradients):
                if step in SHOWN_STEPS:
                    for key, vector in ("x", x), ("s", s):
                        assert vector.dtype == np.float32 and vector.shape == (length,)
                        assert np.isfinite(vector).all(), (case.name, step)
                        shown = vector.view(np.uint32)[indices]
                        lines.append(f"{key} {length} {step} " + " ".join(f"{b:08x}" for b in shown))
    path = OUT / f"{name}.txt"
    path.write_text("\n".join(lines) + "\n")
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


def pytorch():
    import torch

    torch.set_num_threads(1)

    def run(case, initial, gradients):
        x = torch.nn.Parameter(torch.from_numpy(initial))
        optimizer = eval(case.call, {"torch": torch, "x": x})
        for step, g in enumerate(gradients, start=1):
            if step == CHANGE_STEP and case.change is not None:
                optimizer.param_groups[0]["lr"] = case.change
            x.grad = torch.from_numpy(g.copy())
            optimizer.step()
            assert (x.grad.numpy() == g).all()
            yield step, x.detach().numpy(), optimizer.state[x]["sum"].numpy()

    def case(name, arguments="", change=None, **options):
        separator = ", " if arguments else ""
        call = f"torch.optim.Adagrad([x]{separator}{arguments})"
        return Case(name, call, change, **options)

    all_arguments = (
        "lr=0.3, lr_decay=0.02, weight_decay=0.003, "
        "initial_accumulator_value=0.7, eps=1e-05, maximize=True"
    )
    all_options = dict(
        learning_rate=0.3,
        learning_rate_decay=0.02,
        l2=0.003,
        initial_accumulator=0.7,
        epsilon=1e-05,
        maximize=True,
    )
    cases = [
        case("defaults"),
        case("learning_rate", "lr=0.3", learning_rate=0.3),
        case("epsilon", "eps=0.003", epsilon=0.003),
        case(
            "epsilon_zero",
            "eps=0.0, initial_accumulator_value=0.25",
            epsilon=0.0,
            initial_accumulator=0.25,
        ),
        case("initial_accumulator", "initial_accumulator_value=0.1", initial_accumulator=0.1),
        case(
            "learning_rate_decay",
            "lr=0.1, lr_decay=0.05",
            learning_rate=0.1,
            learning_rate_decay=0.05,
        ),
        case("weight_decay", "lr=0.1, weight_decay=0.01", learning_rate=0.1, l2=0.01),
        case("maximize", "lr=0.1, maximize=True", learning_rate=0.1, maximize=True),
        case(
            "maximize_weight_decay",
            "lr=0.1, weight_decay=0.01, maximize=True",
            learning_rate=0.1,
            l2=0.01,
            maximize=True,
        ),
        case("learning_rate_changed", "lr=0.1", change=0.02, learning_rate=0.1),
        case("all", all_arguments, change=0.05, **all_options),
        case("all_foreach", all_arguments + ", foreach=True", change=0.05, **all_options),
        case("all_fused", all_arguments + ", fused=True", change=0.05, **all_options),
    ]
    roots = torch.from_numpy(ROOT_POINTS.copy()).sqrt().numpy()
    notes = [
        "x.grad = g; optimizer.step(); a change sets param_groups[0]['lr']",
        f"torch.sqrt: {root_error(roots, 0.5)}",
    ]
    write("pytorch", "torch.optim.Adagrad", f"torch {torch.__version__}", notes, cases, run)


def optax():
    import jax
    import jax.numpy as jnp
    import jaxlib
    import optax

    def run(case, initial, gradients):
        optimizer = eval(case.call, {"optax": optax})
        x = jnp.asarray(initial)
        state = optimizer.init(x)

        @jax.jit
        def advance(x, state, g):
            updates, state = optimizer.update(g, state, x)
            return optax.apply_updates(x, updates), state

        for step, g in enumerate(gradients, start=1):
            if step == CHANGE_STEP and case.change is not None:
                state.hyperparams["learning_rate"] = jnp.asarray(case.change, dtype=jnp.float32)
            x, state = advance(x, state, jnp.asarray(g))
            leaves = jax.tree.leaves(state, is_leaf=lambda n: hasattr(n, "sum_of_squares"))
            (rss,) = [leaf for leaf in leaves if hasattr(leaf, "sum_of_squares")]
            yield step, np.asarray(x), np.asarray(rss.sum_of_squares)

    cases = [
        Case("defaults", "optax.adagrad(0.1)", learning_rate=0.1),
        Case("learning_rate", "optax.adagrad(0.003)", learning_rate=0.003),
        Case("epsilon", "optax.adagrad(0.1, eps=0.003)", learning_rate=0.1, epsilon=0.003),
        Case("epsilon_zero", "optax.adagrad(0.1, eps=0.0)", learning_rate=0.1, epsilon=0.0),
        Case(
            "initial_accumulator",
            "optax.adagrad(0.1, initial_accumulator_value=1.7)",
            learning_rate=0.1,
            initial_accumulator=1.7,
        ),
        Case(
            "initial_accumulator_zero",
            "optax.adagrad(0.1, initial_accumulator_value=0.0)",
            learning_rate=0.1,
            initial_accumulator=0.0,
        ),
        Case(
            "learning_rate_decay",
            "optax.adagrad(lambda count: 0.1 / (1 + 0.05 * count))",
            learning_rate=0.1,
            learning_rate_decay=0.05,
        ),
        Case(
            "weight_decay",
            "optax.chain(optax.add_decayed_weights(0.01), optax.adagrad(0.1))",
            learning_rate=0.1,
            l2=0.01,
        ),
        Case(
            "weight_decay_decoupled",
            "optax.chain(optax.scale_by_rss(), optax.add_decayed_weights(0.01), "
            "optax.scale_by_learning_rate(0.1))",
            learning_rate=0.1,
            decoupled=0.01,
        ),
        Case(
            "maximize",
            "optax.chain(optax.scale(-1.0), optax.adagrad(0.1))",
            learning_rate=0.1,
            maximize=True,
        ),
        Case(
            "learning_rate_changed",
            "optax.inject_hyperparams(optax.adagrad)(learning_rate=0.1)",
            change=0.02,
            learning_rate=0.1,
        ),
        Case(
            "all",
            "optax.chain(optax.scale(-1.0), optax.add_decayed_weights(0.003), "
            "optax.adagrad(lambda count: 0.3 / (1 + 0.02 * count), "
            "initial_accumulator_value=0.7, eps=1e-05))",
            learning_rate=0.3,
            learning_rate_decay=0.02,
            l2=0.003,
            initial_accumulator=0.7,
            epsilon=1e-05,
            maximize=True,
        ),
    ]
    roots = np.asarray(jax.jit(jax.lax.rsqrt)(jnp.asarray(ROOT_POINTS)))
    versions = f"optax {optax.__version__}, jax {jax.__version__}, jaxlib {jaxlib.__version__}"
    notes = [
        "update and apply_updates in one jax.jit; a change sets hyperparams['learning_rate']",
        f"jax.lax.rsqrt: {root_error(roots, -0.5)}",
    ]
    write("optax", "optax.adagrad", versions, notes, cases, run)


def keras():
    import keras
    import tensorflow as tf

    def run(case, initial, gradients):
        x = keras.Variable(initial)
        optimizer = eval(case.call, {"keras": keras})
        for step, g in enumerate(gradients, start=1):
            if step == CHANGE_STEP and case.change is not None:
                optimizer.learning_rate = case.change
            optimizer.apply([tf.constant(g)], [x])
            (accumulator,) = [v for v in optimizer.variables if "accumulator" in v.path]
            yield step, x.numpy(), accumulator.numpy()

    def case(name, arguments="", change=None, **options):
        return Case(name, f"keras.optimizers.Adagrad({arguments})", change, **options)

    def decay(rate, decay_rate):
        schedule = "keras.optimizers.schedules.InverseTimeDecay"
        return f"{schedule}({rate}, decay_steps=1, decay_rate={decay_rate})"

    cases = [
        case("defaults"),
        case("learning_rate", "learning_rate=0.3", learning_rate=0.3),
        case("epsilon", "epsilon=0.003", epsilon=0.003),
        case("epsilon_zero", "epsilon=0.0", epsilon=0.0),
        case(
            "initial_accumulator", "initial_accumulator_value=1.7", initial_accumulator=1.7
        ),
        case(
            "initial_accumulator_zero",
            "learning_rate=0.1, initial_accumulator_value=0.0",
            learning_rate=0.1,
            initial_accumulator=0.0,
        ),
        case(
            "learning_rate_decay",
            decay(0.1, 0.05),
            learning_rate=0.1,
            learning_rate_decay=0.05,
        ),
        case(
            "weight_decay_decoupled",
            "learning_rate=0.1, weight_decay=0.01",
            learning_rate=0.1,
            decoupled=0.01,
        ),
        case("learning_rate_changed", "learning_rate=0.1", change=0.02, learning_rate=0.1),
        case(
            "all",
            f"{decay(0.3, 0.02)}, weight_decay=0.003, "
            "initial_accumulator_value=0.7, epsilon=1e-05",
            learning_rate=0.3,
            learning_rate_decay=0.02,
            decoupled=0.003,
            initial_accumulator=0.7,
            epsilon=1e-05,
        ),
    ]
    versions = f"keras {keras.__version__}, tensorflow {tf.__version__}"
    notes = [
        "optimizer.apply([g], [x]), eager; a change sets optimizer.learning_rate",
        f"tf.sqrt: {root_error(tf.sqrt(tf.constant(ROOT_POINTS)).numpy(), 0.5)}",
    ]
    write("keras", "keras.optimizers.Adagrad", versions, notes, cases, run)


FRAMEWORKS = {"pytorch": pytorch, "optax": optax, "keras": keras}

if __name__ == "__main__":
    import generate_rules

    for name in sys.argv[1:] or FRAMEWORKS:
        FRAMEWORKS[name]()
        generate_rules.FRAMEWORKS[name]()
