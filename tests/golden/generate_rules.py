"""All rules but Adagrad: parameters and state before and after single steps of a run of 100.

generate.py runs this with its own inputs. The comparison starts from the framework's numbers before a
step, so its bound is that of one step for every rule (README.md).
"""

import platform

import numpy as np

from generate import GRADIENTS, INITIAL, OUT, SEED, STEPS

# The steps that are compared. The file also shows the step before each.
COMPARED_STEPS = (1, 2, 3, 10, 52, 100)
CHANGE_STEP = 52
# Elements that never get a gradient, that get every magnitude, and that get few magnitudes.
SHOWN = list(range(0, 48, 3))
LENGTH = 48


class Case:
    """`call` is the Python that ran, `options` are the same settings of our preset `rule`."""

    def __init__(self, rule, call, change=None, **options):
        self.rule, self.call, self.change, self.options = rule, call, change, options


def write(framework, versions, notes, cases, run):
    """`run` yields (step, x, state by our names) for each step."""
    lines = [
        f"# {framework}: x and state around single steps of {STEPS}. Format: README.md.",
        f"# made by: python tests/golden/generate.py, python {platform.python_version()}",
        f"# versions: {versions}; numpy {np.__version__}; x86-64 limited to AVX2",
        *(f"# {note}" for note in notes),
        f"seed {SEED}",
        "length " + str(LENGTH),
        "indices " + " ".join(map(str, SHOWN)),
        "compared " + " ".join(map(str, COMPARED_STEPS)),
    ]
    shown_steps = {s for step in COMPARED_STEPS for s in (step - 1, step)} - {0}
    for case in cases:
        lines += ["", f"case {case.rule}", f"call {case.call}"]
        lines += [f"set {key} {str(value).lower()}" for key, value in case.options.items()]
        if case.change is not None:
            lines.append(f"change {CHANGE_STEP} {case.change}")
        gradients = [g[:LENGTH].copy() for g in GRADIENTS]
        for step, x, state in run(case, INITIAL[:LENGTH].copy(), gradients):
            if step not in shown_steps:
                continue
            for key, vector in {"x": x, **state}.items():
                vector = np.asarray(vector)
                assert vector.dtype == np.float32 and vector.shape == (LENGTH,), (key, vector)
                shown = vector.view(np.uint32)[SHOWN]
                lines.append(f"{key} {step} " + " ".join(f"{b:08x}" for b in shown))
    path = OUT / f"{framework}_rules.txt"
    path.write_text("\n".join(lines) + "\n")
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


def pytorch():
    import torch

    torch.set_num_threads(1)
    names = {
        "momentum_buffer": "momentum_buffer",
        "square_avg": "square_average",
        "grad_avg": "gradient_average",
        "acc_delta": "delta_average",
        "exp_avg": "gradient_average",
        "exp_avg_sq": "square_average",
        "max_exp_avg_sq": "largest_square_average",
    }

    def run(case, initial, gradients):
        x = torch.nn.Parameter(torch.from_numpy(initial))
        optimizer = eval(case.call, {"torch": torch, "x": x})
        for step, g in enumerate(gradients, start=1):
            if step == CHANGE_STEP and case.change is not None:
                optimizer.param_groups[0]["lr"] = case.change
            x.grad = torch.from_numpy(g.copy())
            optimizer.step()
            state = optimizer.state[x]
            found = {ours: state[key] for key, ours in names.items() if state.get(key) is not None}
            yield step, x.detach().numpy(), {k: v.numpy() for k, v in found.items()}

    def case(rule, name, arguments="", change=None, **options):
        call = f"torch.optim.{name}([x]{', ' if arguments else ''}{arguments})"
        return Case(rule, call, change, **options)

    cases = [
        case("sgd", "SGD"),
        case("sgd", "SGD", "momentum=0.9", change=0.0003, momentum=0.9),
        case("sgd", "SGD", "lr=0.1, momentum=0.9, dampening=0.3", learning_rate=0.1, momentum=0.9, dampening=0.3),
        case("sgd", "SGD", "momentum=0.8, nesterov=True", momentum=0.8, nesterov=True),
        case("sgd", "SGD", "weight_decay=0.01, maximize=True", weight_decay=0.01, maximize=True),
        case(
            "sgd",
            "SGD",
            "momentum=0.9, nesterov=True, weight_decay=0.01, maximize=True, fused=True",
            momentum=0.9,
            nesterov=True,
            weight_decay=0.01,
            maximize=True,
        ),
        case("rmsprop", "RMSprop"),
        case("rmsprop", "RMSprop", "lr=0.1, alpha=0.9, eps=0.001", change=0.02, learning_rate=0.1, smoothing=0.9, epsilon=0.001),
        case("rmsprop", "RMSprop", "centered=True", centered=True),
        case("rmsprop", "RMSprop", "momentum=0.9, alpha=0.95", momentum=0.9, smoothing=0.95),
        case(
            "rmsprop",
            "RMSprop",
            "centered=True, momentum=0.5, weight_decay=0.01, maximize=True",
            centered=True,
            momentum=0.5,
            weight_decay=0.01,
            maximize=True,
        ),
        case("adadelta", "Adadelta"),
        case("adadelta", "Adadelta", "lr=0.3, rho=0.95, eps=1e-4", change=0.1, learning_rate=0.3, rho=0.95, epsilon=1e-4),
        case("adadelta", "Adadelta", "weight_decay=0.01, maximize=True", weight_decay=0.01, maximize=True),
        case("adam", "Adam"),
        case("adam", "Adam", "lr=0.1, betas=(0.8, 0.99), eps=1e-4", change=0.02, learning_rate=0.1, beta1=0.8, beta2=0.99, epsilon=1e-4),
        case("adam", "Adam", "amsgrad=True", amsgrad=True),
        case("adam", "Adam", "weight_decay=0.01, maximize=True", weight_decay=0.01, maximize=True),
        case("adam", "Adam", "amsgrad=True, weight_decay=0.01, fused=True", amsgrad=True, weight_decay=0.01),
        case("adamw", "AdamW"),
        case("adamw", "AdamW", "lr=0.1, weight_decay=0.3, amsgrad=True, maximize=True", learning_rate=0.1, weight_decay=0.3, amsgrad=True, maximize=True),
    ]
    notes = ["x.grad = g; optimizer.step(); a change sets param_groups[0]['lr']"]
    write("pytorch", f"torch {torch.__version__}", notes, cases, run)


def optax():
    import jax
    import jax.numpy as jnp
    import jaxlib
    import optax

    names = {
        "trace": "momentum_buffer",
        "e_g": "square_average",
        "e_x": "delta_average",
    }

    def fields(state, case):
        """State vectors, found by the names of the fields that hold them."""
        found = {}

        def visit(node):
            if hasattr(node, "_fields"):
                for field in node._fields:
                    value = getattr(node, field)
                    if field in ("mu", "nu"):
                        found["gradient_average" if field == "mu" else "square_average"] = value
                    elif field in names:
                        found[names[field]] = value
                    else:
                        visit(value)
            elif isinstance(node, (tuple, list)):
                for child in node:
                    visit(child)

        visit(state)
        return {key: np.asarray(value) for key, value in found.items()}

    def run(case, initial, gradients):
        optimizer = eval(case.call, {"optax": optax})
        x = jnp.asarray(initial)
        state = optimizer.init(x)

        @jax.jit
        def advance(x, state, g):
            updates, state = optimizer.update(g, state, x)
            return optax.apply_updates(x, updates), state

        for step, g in enumerate(gradients, start=1):
            x, state = advance(x, state, jnp.asarray(g))
            yield step, np.asarray(x), fields(state, case)

    l2 = "optax.chain(optax.add_decayed_weights(0.01), {})".format
    cases = [
        Case("sgd", "optax.sgd(0.003)", learning_rate=0.003),
        Case("sgd", "optax.sgd(0.003, momentum=0.9)", learning_rate=0.003, momentum=0.9),
        Case("sgd", "optax.sgd(0.003, momentum=0.9, nesterov=True)", learning_rate=0.003, momentum=0.9, nesterov=True),
        Case("sgd", l2("optax.sgd(0.003, momentum=0.9)"), learning_rate=0.003, momentum=0.9, weight_decay=0.01),
        Case("rmsprop", "optax.rmsprop(0.01)", learning_rate=0.01),
        Case("rmsprop", "optax.rmsprop(0.01, eps_in_sqrt=False, decay=0.95)", learning_rate=0.01, epsilon_placement="outside", smoothing=0.95),
        Case("rmsprop", "optax.rmsprop(0.01, centered=True)", learning_rate=0.01, centered=True),
        Case("adadelta", "optax.adadelta(0.3)", learning_rate=0.3),
        Case("adadelta", "optax.adadelta(0.3, rho=0.95, eps=1e-4, weight_decay=0.01)", learning_rate=0.3, rho=0.95, epsilon=1e-4, weight_decay=0.01),
        Case("adam", "optax.adam(0.01)", learning_rate=0.01),
        Case("adam", "optax.adam(0.01, b1=0.8, b2=0.99, eps=1e-4)", learning_rate=0.01, beta1=0.8, beta2=0.99, epsilon=1e-4),
        Case("adam", l2("optax.adam(0.01)"), learning_rate=0.01, weight_decay=0.01),
        Case("adamw", "optax.adamw(0.01)", learning_rate=0.01),
        Case("adamw", "optax.adamw(0.01, weight_decay=0.3)", learning_rate=0.01, weight_decay=0.3),
    ]
    versions = f"optax {optax.__version__}, jax {jax.__version__}, jaxlib {jaxlib.__version__}"
    notes = ["update and apply_updates in one jax.jit"]
    write("optax", versions, notes, cases, run)


def keras():
    import keras
    import tensorflow as tf

    names = {
        "SGD": {},
        "RMSprop": {"velocity": "square_average", "average_gradient": "gradient_average"},
        "Adadelta": {"accumulated_grad": "square_average", "accumulated_delta_var": "delta_average"},
        "Adam": {
            "momentum": "gradient_average",
            "velocity": "square_average",
            "velocity_hat": "largest_square_average",
        },
    }
    names["AdamW"] = names["Adam"]

    def run(case, initial, gradients):
        x = keras.Variable(initial)
        optimizer = eval(case.call, {"keras": keras})
        for step, g in enumerate(gradients, start=1):
            if step == CHANGE_STEP and case.change is not None:
                optimizer.learning_rate = case.change
            optimizer.apply([tf.constant(g)], [x])
            state = {}
            for variable in optimizer.variables:
                for key, ours in names[type(optimizer).__name__].items():
                    if variable.path.endswith("_" + key):
                        state[ours] = variable.numpy()
            yield step, x.numpy(), state

    def case(rule, name, arguments="", change=None, **options):
        return Case(rule, f"keras.optimizers.{name}({arguments})", change, **options)

    cases = [
        case("sgd", "SGD", change=0.003),
        case("sgd", "SGD", "weight_decay=0.01", weight_decay=0.01, decoupled_weight_decay="true"),
        case("rmsprop", "RMSprop", change=0.0003),
        case("rmsprop", "RMSprop", "rho=0.95, epsilon=1e-4", smoothing=0.95, epsilon=1e-4),
        case("rmsprop", "RMSprop", "centered=True, weight_decay=0.01", centered=True, weight_decay=0.01, decoupled_weight_decay="true"),
        case("adadelta", "Adadelta"),
        case("adadelta", "Adadelta", "learning_rate=0.3, rho=0.9, epsilon=1e-4", change=0.1, learning_rate=0.3, rho=0.9, epsilon=1e-4),
        case("adam", "Adam"),
        case("adam", "Adam", "learning_rate=0.1, beta_1=0.8, beta_2=0.99, epsilon=1e-4", change=0.02, learning_rate=0.1, beta1=0.8, beta2=0.99, epsilon=1e-4),
        case("adam", "Adam", "amsgrad=True", amsgrad=True),
        case("adamw", "AdamW"),
        case("adamw", "AdamW", "weight_decay=0.3", weight_decay=0.3),
    ]
    versions = f"keras {keras.__version__}, tensorflow {tf.__version__}"
    notes = ["optimizer.apply([g], [x]), eager; a change sets optimizer.learning_rate"]
    write("keras", versions, notes, cases, run)


FRAMEWORKS = {"pytorch": pytorch, "optax": optax, "keras": keras}
