"""SHD and SID: closed forms, and SID against what adjustment does to effects in linear models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.metrics import graph_chance_level, shd, sid, transitive_closure


def random_dag(rng, d, density=0.4):
    order = rng.permutation(d)
    return (np.triu(rng.random((d, d)) < density, 1))[order][:, order].astype(int)


def wrong_effects(truth, estimate, rng):
    """Pairs whose effect, by regression on i and its estimated parents, is wrong in a random linear Gaussian model.

    Independent of any graph criterion: generic weights make effects coincide exactly where adjustment is valid.
    """
    d = len(truth)
    weights = truth * rng.uniform(0.5, 2.0, (d, d)) * rng.choice([-1, 1], (d, d))
    total = np.linalg.inv(np.eye(d) - weights)  # (i, j): total effect of i on j
    covariance = total.T @ np.diag(rng.uniform(0.5, 2.0, d)) @ total
    wrong = 0
    for i in range(d):
        parents = np.flatnonzero(estimate[:, i])
        for j in range(d):
            if j == i:
                continue
            effect = 0.0
            if j not in parents:
                use = [i, *parents]
                effect = np.linalg.solve(covariance[np.ix_(use, use)], covariance[use, j])[0]
            wrong += abs(effect - total[i, j]) > 1e-8
    return wrong


@pytest.mark.parametrize("d", [3, 5, 7])
def test_sid_counts_the_wrong_effects_of_linear_models(d):
    rng = np.random.default_rng(d)
    pairs = [(random_dag(rng, d), random_dag(rng, d)) for _ in range(60)]
    result = jax.jit(jax.vmap(sid))(jnp.array([a for a, _ in pairs]), jnp.array([b for _, b in pairs]))
    assert result.tolist() == [wrong_effects(a, b, rng) for a, b in pairs]
    assert len(set(result.tolist())) > 3


def test_sid_of_known_cases():
    rng = np.random.default_rng(0)
    for _ in range(4):
        truth = random_dag(rng, 6)
        assert int(sid(truth, truth)) == 0
        ancestors = np.linalg.inv(np.eye(6) - truth)
        order = np.argsort(-(ancestors != 0).sum(axis=1), kind="stable")  # descendants fall along a right order
        complete = np.zeros((6, 6), int)
        complete[np.ix_(order, order)] = np.triu(np.ones((6, 6), int), 1)
        assert int(sid(truth, complete)) == 0, "a supergraph in a right order gets every effect right"
        assert int(shd(truth, complete)) == 15 - truth.sum()
    chain = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    # Reversed, every one of the three effects is missed, and three that are none are claimed.
    assert int(sid(chain, chain.T)) == 6
    fork = np.array([[0, 1, 1], [0, 0, 0], [0, 0, 0]])
    empty = np.zeros((3, 3), int)
    assert int(sid(fork, empty)) == 4, "1 and 2 are confounded, and each looks like a cause of 0"
    assert int(sid(empty, fork)) == 0
    assert int(sid(chain, empty)) == 3, "the three effects against the arrows"


def test_shd_of_known_cases():
    rng = np.random.default_rng(1)
    a, b = random_dag(rng, 7), random_dag(rng, 7)
    assert int(shd(a, a)) == 0
    assert int(shd(a, b)) == int(shd(b, a)) > 0
    assert int(shd(a, a.T)) == a.sum()
    assert int(shd(a, a.T, reversal=2)) == 2 * a.sum()
    undirected = a | a.T
    assert int(shd(a, undirected)) == a.sum() == int(shd(a, undirected, reversal=2))
    assert int(shd(a, np.zeros_like(a))) == a.sum()
    weights = a * rng.normal(size=a.shape)
    assert int(shd(weights, b)) == int(shd(a, b)), "weights count as edges"


def test_relabelled_nodes_give_the_chance_level():
    truth = np.zeros((6, 6), int)
    truth[0, 1] = 1
    # One edge placed at random among 30: shares the pair, and then the direction, with 1/15 and 1/30.
    chance = graph_chance_level(shd, jax.random.key(0), jnp.array(truth), draws=2000)
    assert float(chance.mean) == pytest.approx(2 * 14 / 15 + 1 / 30, abs=0.03)
    complete = jnp.triu(jnp.ones((5, 5), int), 1)
    # p(j | do(i)) of a complete graph is right where i's predecessors are as estimated and j's side is.
    assert 5 < float(graph_chance_level(sid, jax.random.key(0), complete, draws=200).mean) < 20


def test_transitive_closure_is_the_graph_of_directed_paths():
    rng = np.random.default_rng(3)
    for _ in range(20):
        truth = random_dag(rng, 6)
        paths = sum(np.linalg.matrix_power(truth, k) for k in range(1, 7)) > 0
        np.testing.assert_array_equal(transitive_closure(truth), paths)
