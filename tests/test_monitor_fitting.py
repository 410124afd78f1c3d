"""The small second stages: what they learn, and how two of them stand side by side."""

import numpy as np
from scipy.optimize import minimize

from monitor.fitting import beside, fit_line, fit_net
from monitor.sentiment import BY_CHARACTERS, BY_WORDS, FEATURES, log_odds
from monitor.tables import Net


def rows(count: int, wide: int) -> np.ndarray:
    """Features of unlike size and place, the last one constant."""
    rng = np.random.default_rng(7)
    told = rng.normal(size=(count, wide - 1)) * rng.uniform(0.1, 30, wide - 1) + rng.uniform(-9, 9, wide - 1)
    return np.hstack([told, np.ones((count, 1))])


def test_a_line_is_the_least_point_of_a_logistic_regression() -> None:
    """As SciPy finds it over even features; a feature that never changes says nothing."""
    features = rows(800, 6)
    features[:, 2] = 4.0
    z = np.delete(features[:, :-1], 2, axis=1)
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    target = (z @ [1.0, -2.0, 0.5, 0.0] + 0.7 > np.random.default_rng(8).normal(size=800)).astype(float)

    def loss(theta: np.ndarray) -> float:
        said = z @ theta[:-1] + theta[-1]
        return float((np.logaddexp(0, said) - target * said).sum() + (theta[:-1] ** 2).sum() / (2 * 0.3))

    known = minimize(loss, np.zeros(5)).x
    assert np.allclose(fit_line(features, target, 0.3).logits(features)[:, 0], z @ known[:-1] + known[-1], atol=0.02)


def test_two_second_stages_stand_side_by_side() -> None:
    """Each column is what its own said, whatever hidden units the other has."""
    features = rows(300, 5)
    target = (features[:, 0] > features[:, 0].mean()).astype(float)
    net, line = fit_net(features, target[:, None], 3, epochs=2), fit_line(features, target, 1.0)
    assert np.allclose(beside(net, line).logits(features), np.hstack([net.logits(features), line.logits(features)]))
    assert np.allclose(beside(line, net).logits(features), np.hstack([line.logits(features), net.logits(features)]))


def test_a_text_is_judged_as_far_as_it_reads_like_a_review_or_a_post() -> None:
    """The columns are mixed by the third score of the row's characters."""
    direct = np.zeros((FEATURES, 2))
    direct[-1] = [-3.0, 5.0]  # of the constant: reviews say no, posts say yes
    blend = Net(direct, np.zeros((FEATURES, 0)), np.zeros((0, 2)))
    features = np.zeros((3, FEATURES))
    features[:, -1] = 1.0
    features[:, BY_WORDS + BY_CHARACTERS - 1] = [-30.0, 0.0, 30.0]
    assert np.allclose(log_odds(blend, features), [-3.0, 1.0, 5.0], atol=1e-9)
