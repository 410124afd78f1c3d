"""Fitting of linear models over hashed n-grams; needs the `train` extra (SciPy comes with scikit-learn)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.ngrams import ORDERS, fold
from monitor.tables import Linear

Floats = NDArray[np.float64]
_BATCH = 2048
_STEPS = 16_000  # an int16 weight's largest value: 20,000 characters of them still fit an int32 sum


def design(texts: Sequence[str], bits: int) -> Any:
    """Sparse rows of n-gram counts over the root of their number: what `sentiment.segment_scores` multiplies."""
    from scipy import sparse  # type: ignore[import-untyped]

    indices, data, pointers = [], [], [np.zeros(1, dtype=np.int64)]
    for start in range(0, len(texts), _BATCH):
        batch = fold(texts[start : start + _BATCH])
        sizes = ORDERS * np.diff(batch.bounds)
        indices.append(batch.hashes(bits).T.ravel().astype(np.int32))
        data.append(np.repeat(1 / np.sqrt(sizes), sizes).astype(np.float32))
        pointers.append(pointers[-1][-1] + np.cumsum(sizes))
    matrix = sparse.csr_matrix(
        (np.concatenate(data), np.concatenate(indices), np.concatenate(pointers)),
        shape=(len(texts), 1 << bits),
    )
    matrix.sum_duplicates()
    return matrix


def contrast(matrix: Any, targets: Floats, weights: Floats, floor: float) -> Floats:
    """Size of every feature's naive-Bayes log-ratio for each target, plus a floor; 0 for features seen once.

    Scaling features by it lets the fit lean on what tells the classes apart (Wang and Manning 2012).
    """
    seen = (matrix > 0).astype(np.float32)
    common = np.asarray(seen.sum(axis=0)).ravel() > 1
    common[0] = False
    yes = seen.T @ (targets * weights[:, None]) + 1.0
    no = seen.T @ ((1 - targets) * weights[:, None]) + 1.0
    ratio = np.abs(np.log(yes / yes.sum(axis=0)) - np.log(no / no.sum(axis=0))) + floor
    scaled: Floats = np.where(common[:, None], ratio, 0.0)
    return scaled


def fit(
    matrix: Any, targets: Floats, weights: Floats, strength: float, floor: float = 0.0, iterations: int = 150
) -> tuple[Floats, Floats]:
    """Logistic regressions, one a column of `targets`, all at once.

    Args:
        matrix: rows × features, sparse.
        targets: rows × columns, 0 to 1.
        weights: of rows.
        strength: inverse of the penalty, as scikit-learn's C.
        floor: see `contrast`; below 0 features are not scaled.
        iterations: at most.

    Returns:
        Weights (features × columns) and biases.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    scale = contrast(matrix, targets, weights, floor) if floor >= 0 else np.ones((matrix.shape[1], targets.shape[1]))
    used = np.flatnonzero(scale.any(axis=1))
    rows, scale = matrix[:, used].tocsr().astype(np.float32), scale[used]
    back = rows.T.tocsr()
    shape = (len(used) + 1, targets.shape[1])

    def loss(flat: Floats) -> tuple[float, Floats]:
        theta = flat.reshape(shape)
        z = rows @ (theta[:-1] * scale).astype(np.float32) + theta[-1]
        gap = (1 / (1 + np.exp(-np.clip(z, -40, 40))) - targets) * weights[:, None]
        value = ((np.logaddexp(0, z) - targets * z) * weights[:, None]).sum() + (theta[:-1] ** 2).sum() / (2 * strength)
        slope = np.vstack([(back @ gap.astype(np.float32)) * scale + theta[:-1] / strength, gap.sum(axis=0)])
        return float(value), slope.ravel().astype(np.float64)

    found = minimize(
        loss,
        np.zeros(shape).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "ftol": 1e-6, "maxcor": 8},
    )
    theta = found.x.reshape(shape)
    full = np.zeros((matrix.shape[1], targets.shape[1]))
    full[used] = theta[:-1] * scale
    return full, theta[-1]


def quantise(weights: Floats, bias: Floats) -> Linear:
    """Weights as integers, each column with its own scale."""
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-9) / _STEPS
    return Linear(np.round(weights / scale).astype(np.int16), scale, bias)


def fit_mix(features: Floats, targets: Floats, strength: float) -> Floats:
    """Second-stage weights, shape (features, columns); the features bring their own constant."""
    from sklearn.linear_model import LogisticRegression

    out = np.zeros((features.shape[1], targets.shape[1]))
    spread = np.maximum(features.std(axis=0), 1e-9)
    spread[features.std(axis=0) == 0] = 1.0
    for column in range(targets.shape[1]):
        if 0 < targets[:, column].sum() < len(targets):
            model = LogisticRegression(C=strength, max_iter=1000, fit_intercept=False)
            out[:, column] = model.fit(features / spread, targets[:, column]).coef_[0] / spread
    return out
