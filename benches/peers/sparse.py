"""Logistic regression of sparse rows in scikit-learn: sparse.py FILE, which is LIBSVM text.

Mode `epoch` is a pass over rows that have been read; `whole` reads them first.
"""

import sys
import time

import sklearn
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import SGDClassifier

from contestant import answer


def train(features, labels):
    """One epoch over shuffled rows, one at a time: the model and its seconds."""
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
