"""Logistic regression on sparse rows in scikit-learn: sparse.py FILE, where FILE is LIBSVM text.

Mode `epoch` is one epoch over rows in memory. Mode `whole` reads the file first.
"""

import sys
import time

import sklearn
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import SGDClassifier

from contestant import answer


def train(features, labels):
    """One epoch over shuffled rows, one row at a time. Returns the model and the seconds."""
    model = SGDClassifier(loss="log_loss", max_iter=1, tol=None, random_state=0)
    start = time.perf_counter()
    model.fit(features, labels)
    return model, time.perf_counter() - start


def whole(file):
    start = time.perf_counter()
    train(*load_svmlight_file(file))
    return time.perf_counter() - start


[file] = sys.argv[1:]
features, labels = load_svmlight_file(file)
model, _ = train(features, labels)
measures = {"epoch": lambda _: train(features, labels)[1], "whole": lambda _: whole(file)}
answer(model.score(features, labels), f"scikit-learn {sklearn.__version__}", measures)
