"""Fitting of linear models over hashed n-grams; needs SciPy, from the `train` extra."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.ngrams import Batch, fold
from monitor.tables import Linear, Net

Floats = NDArray[np.float64]
_ARMIJO = 1e-4  # share of what the slope promises that a step must keep
_SHORTEST = 1e-7  # below it, rounding decides: the least point is reached
Loss = Callable[[Floats], tuple[float, Floats]]  # value and slope at a point
Index = Callable[[Batch], tuple[NDArray[np.int64], NDArray[np.int64]]]
_BATCH = 2048
_LINE_STEPS = 300
_NET_BATCH = 256
_NET_RATE = 3e-3
_NET_DROP = 0.2
_NET_DECAY = 3e-3
_STEPS = 16_000  # an int16 weight's largest value: 20,000 characters of them still fit an int32 sum


def design(texts: Sequence[str], bits: int, index: Index | None = None) -> Any:
    """Sparse rows of counts over the root of their number: what `sentiment.segment_scores` multiplies.

    Args:
        texts: One a row.
        bits: Of a table index.
        index: What to count: table indices of shape (kinds, places), and the bounds of rows among the places;
            n-grams of characters where nothing is given.
    """
    from scipy import sparse

    index = index or (lambda batch: (batch.hashes(bits), batch.bounds))
    indices, data, pointers = [], [], [np.zeros(1, dtype=np.int64)]
    for start in range(0, len(texts), _BATCH):
        found, bounds = index(fold(texts[start : start + _BATCH]))
        sizes = len(found) * np.diff(bounds)
        indices.append(found.T.ravel().astype(np.int32))
        data.append(np.repeat(1 / np.sqrt(sizes), sizes).astype(np.float32))
        pointers.append(pointers[-1][-1] + np.cumsum(sizes))
    matrix = sparse.csr_matrix(
        (np.concatenate(data), np.concatenate(indices), np.concatenate(pointers)),
        shape=(len(texts), 1 << bits),
    )
    matrix.sum_duplicates()
    return matrix


def contrast(seen: Any, target: Floats, weights: Floats, floor: float) -> Floats:
    """Size of every feature's naive-Bayes log-ratio, plus a floor.

    Scaling features by it lets the fit lean on what tells the classes apart (Wang and Manning 2012).
    `seen` is rows × features, 1 where a row has the feature.
    """
    yes = seen.T @ (target * weights) + 1.0
    no = seen.T @ ((1 - target) * weights) + 1.0
    ratio: Floats = np.abs(np.log(yes / yes.sum()) - np.log(no / no.sum())) + floor
    return ratio


def fit(
    matrix: Any, targets: Floats, weights: Floats, strength: float, floor: float = 0.0, iterations: int = 150
) -> tuple[Floats, Floats]:
    """Logistic regressions, one a column of `targets`.

    Args:
        matrix: rows × features, sparse.
        targets: rows × columns, 0 to 1.
        weights: of rows.
        strength: inverse of the penalty, as scikit-learn's C.
        floor: see `contrast`.
        iterations: at most, a column.

    Returns:
        Weights (features × columns) and biases.
    """
    used = np.flatnonzero(matrix.getnnz(axis=0) > 1)
    used = used[used > 0]  # index 0 stands for n-grams that do not fit in their row
    rows = matrix[:, used].tocsr().astype(np.float32)
    seen = rows.copy()
    seen.data = np.ones_like(seen.data)
    out = np.zeros((matrix.shape[1], targets.shape[1]))
    bias = np.zeros(targets.shape[1])
    for column, target in enumerate(targets.T):
        scale = contrast(seen, target, weights, floor)
        theta = descend(_loss(rows, scale, target, weights, strength), np.zeros(len(used) + 1), iterations)
        out[used, column] = theta[:-1] * scale
        bias[column] = theta[-1]
    return out, bias


def _loss(rows: Any, scale: Floats, target: Floats, weights: Floats, strength: float) -> Loss:
    back = rows.T

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = rows @ (theta[:-1] * scale).astype(rows.dtype) + theta[-1]
        gap = (1 / (1 + np.exp(-np.clip(z, -40, 40))) - target) * weights
        value = ((np.logaddexp(0, z) - target * z) * weights).sum() + (theta[:-1] ** 2).sum() / (2 * strength)
        slope = np.append((back @ gap.astype(rows.dtype)) * scale + theta[:-1] / strength, gap.sum())
        return float(value), slope

    return loss


def descend(loss: Loss, start: Floats, iterations: int, memory: int = 8, tolerance: float = 1e-6) -> Floats:
    """Least point of a smooth convex loss by L-BFGS with a backtracking line search."""
    at, (value, slope) = start, loss(start)
    past: deque[tuple[Floats, Floats]] = deque(maxlen=memory)
    for _ in range(iterations):
        step = _direction(slope, past)
        fall, length = float(slope @ step), 1.0 if past else 1 / max(float(np.abs(slope).sum()), 1.0)
        while (tried := loss(at + length * step))[0] > value + _ARMIJO * length * fall:
            length /= 2
            if length < _SHORTEST:
                return at
        reached, new_slope = tried
        if float(length * step @ (new_slope - slope)) > 0:
            past.append((length * step, new_slope - slope))
        gained, at, value, slope = value - reached, at + length * step, reached, new_slope
        if gained <= tolerance * max(abs(value), 1.0) and len(past) > 1:
            break
    return at


def _direction(slope: Floats, past: deque[tuple[Floats, Floats]]) -> Floats:
    turned, shares = -slope, []
    for moved, change in reversed(past):
        share = float(moved @ turned) / float(moved @ change)
        shares.append(share)
        turned = turned - share * change
    if past:
        moved, change = past[-1]
        turned = turned * (float(moved @ change) / float(change @ change))
    for (moved, change), share in zip(past, reversed(shares), strict=True):
        turned = turned + (share - float(change @ turned) / float(moved @ change)) * moved
    return turned


def quantise(weights: Floats, bias: Floats) -> Linear:
    """Weights as integers, each column with its own scale."""
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-9) / _STEPS
    return Linear(np.round(weights / scale).astype(np.int16), scale, bias)


def coarse(linear: Linear, steps: int) -> Linear:
    """The same weights in fewer, wider steps; rows filled up to 1, 2, 4 … columns, which numpy takes far faster."""
    columns = linear.table.shape[1]
    table = np.zeros((len(linear.table), 1 << (columns - 1).bit_length()), dtype=np.int16)
    table[:, :columns] = np.round(linear.table / steps)
    return Linear(table, linear.scale * steps, linear.bias)


def fit_line(features: Floats, target: Floats, strength: float) -> Net:
    """A network without hidden units: a logistic regression.

    Args:
        features: rows × features; the last one is the constant one.
        target: 0 or 1 for each row.
        strength: inverse of the penalty on weights of features of spread 1.
    """
    rows, mean, scale = _even(features)

    def loss(theta: Floats) -> tuple[float, Floats]:
        z, kept = rows @ theta, np.append(theta[:-1], 0.0)
        gap = 1 / (1 + np.exp(-np.clip(z, -40, 40))) - target
        value = (np.logaddexp(0, z) - target * z).sum() + (kept**2).sum() / (2 * strength)
        return float(value), rows.T @ gap + kept / strength

    theta = descend(loss, np.zeros(rows.shape[1]), _LINE_STEPS)[:, None]
    return _unscaled(Net(theta, np.zeros((len(theta), 0)), np.zeros((0, 1))), mean, scale)


def beside(first: Net, second: Net) -> Net:
    """Columns of both: those of the first, then those of the second."""
    nothing = np.zeros((first.outer.shape[0], second.outer.shape[1]))
    other = np.zeros((second.outer.shape[0], first.outer.shape[1]))
    outer = np.block([[first.outer, nothing], [other, second.outer]])
    return Net(np.hstack([first.direct, second.direct]), np.hstack([first.inner, second.inner]), outer)


def _even(features: Floats) -> tuple[Floats, Floats, Floats]:
    """Features but the last of mean 0 and spread 1; and what to take from them and multiply them by."""
    mean, spread = features[:, :-1].mean(axis=0), features[:, :-1].std(axis=0)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0)
    return np.hstack([(features[:, :-1] - mean) * scale, np.ones((len(features), 1))]), mean, scale


def fit_net(features: Floats, targets: Floats, hidden: int, *, epochs: int = 20, seed: int = 0) -> Net:
    """A small network from features to the log-odds of each column, by Adam with dropout.

    Args:
        features: rows × features; the last one is the constant one.
        targets: rows × columns, 0 to 1; NaN where a row says nothing of a column.
        hidden: Units of the hidden layer.
        epochs: Passes over the rows.
        seed: Of the order of rows, the first weights and the dropout.
    """
    rng = np.random.default_rng(seed)
    even, mean, scale = _even(features)
    rows = even.astype(np.float32)
    weigh = (~np.isnan(targets)).astype(np.float32)
    aims = np.nan_to_num(targets).astype(np.float32)
    wide, columns = rows.shape[1], targets.shape[1]
    parts = [
        np.zeros((wide, columns), dtype=np.float32),
        rng.normal(0, np.sqrt(1 / wide), (wide, hidden)).astype(np.float32),
        rng.normal(0, np.sqrt(1 / hidden), (hidden, columns)).astype(np.float32),
    ]
    moments = [np.zeros((2, *part.shape), dtype=np.float32) for part in parts]
    each = -(-len(rows) // _NET_BATCH)
    steps = epochs * each
    order = np.arange(len(rows))
    for step in range(steps):
        if step % each == 0:
            rng.shuffle(order)
        some = order[step % each * _NET_BATCH :][:_NET_BATCH]
        slopes = _net_slopes(parts, rows[some], aims[some], weigh[some], rng)
        rate = _NET_RATE * (1 - step / steps)
        for part, slope, moment in zip(parts, slopes, moments, strict=True):
            moment[0] += 0.1 * (slope - moment[0])
            moment[1] += 0.001 * (slope**2 - moment[1])
            mean_slope, mean_square = moment[0] / (1 - 0.9 ** (step + 1)), moment[1] / (1 - 0.999 ** (step + 1))
            part[...] -= rate * (mean_slope / (np.sqrt(mean_square) + 1e-8) + _NET_DECAY * part)
    return _unscaled(Net(*(part.astype(np.float64) for part in parts)), mean, scale)


def fit_nets(features: Floats, targets: Floats, hidden: int, count: int) -> Net:
    """The mean of so many networks of `fit_net` that began elsewhere, as one."""
    nets = [fit_net(features, targets, hidden, seed=seed) for seed in range(count)]
    direct = np.mean([net.direct for net in nets], axis=0)
    return Net(direct, np.hstack([net.inner for net in nets]), np.vstack([net.outer for net in nets]) / count)


def _net_slopes(
    parts: Sequence[Any], rows: Any, aims: Any, weigh: Any, rng: np.random.Generator
) -> tuple[Any, Any, Any]:
    direct, inner, outer = parts
    kept = (rng.random((len(rows), inner.shape[1])) >= _NET_DROP).astype(np.float32) / np.float32(1 - _NET_DROP)
    units = np.maximum(rows @ inner, 0) * kept
    gap = (1 / (1 + np.exp(-np.clip(rows @ direct + units @ outer, -30, 30))) - aims) * weigh / np.float32(len(rows))
    back = (gap @ outer.T) * kept * (units > 0)
    return rows.T @ gap, rows.T @ back, units.T @ gap


def _unscaled(net: Net, mean: Floats, scale: Floats) -> Net:
    """The same network over features as they come."""

    def undo(part: NDArray[np.floating[Any]]) -> Floats:
        by = part[:-1] * scale[:, None]
        return np.vstack([by, part[-1] - mean @ by])

    return Net(undo(net.direct), undo(net.inner), net.outer)
