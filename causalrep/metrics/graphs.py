"""Distances between causal graphs: structural Hamming distance (SHD) and structural intervention distance (SID).

Graphs are d x d matrices with entry (i, j) non-zero for an edge ``i -> j``, and both (i, j) and (j, i) for an
undirected edge.
"""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

Graph = Num[Array, "d d"] | Bool[Array, "d d"]


def shd(truth: Graph, estimate: Graph, *, reversal: int = 1) -> Num[Array, ""]:
    """Structural Hamming distance: pairs of nodes whose edge (none, one way, the other way, undirected) differs.

    Args:
        truth: The true graph, directed or partly directed.
        estimate: The estimate.
        reversal: Cost of a reversed edge: 1, or 2 for the distance that counts its removal and its insertion. In the
            latter an edge that should be undirected costs 1.

    >>> import jax.numpy as jnp
    >>> chain, back = jnp.array([[0, 1], [0, 0]]), jnp.array([[0, 0], [1, 0]])
    >>> int(shd(chain, back)), int(shd(chain, back, reversal=2))
    (1, 2)
    """
    differs = (jnp.asarray(truth) != 0) != (jnp.asarray(estimate) != 0)
    if reversal == 1:
        differs = jnp.triu(differs | differs.T, 1)
    return jnp.sum(differs & ~jnp.eye(len(differs), dtype=bool))


def sid(truth: Graph, estimate: Graph) -> Num[Array, ""]:
    """Structural intervention distance (Peters and Buehlmann 2015) of two directed acyclic graphs.

    The number of ordered pairs (i, j) whose interventional distribution ``p(j | do(i))`` is wrong if the parents of i
    in the *estimate* are adjusted for in the *true* model. It is 0 for every supergraph of the truth with a valid
    order, at most d (d - 1), and not symmetric. The cost is that of d log d products of boolean 2d x 2d matrices.

    Args:
        truth: The true graph, acyclic.
        estimate: The estimate, acyclic: a class of graphs has no single distance.
    """
    truth, estimate = jnp.asarray(truth) != 0, jnp.asarray(estimate) != 0
    chex.assert_equal_shape([truth, estimate])
    ancestor = _closure(truth)  # (i, j): i is j or an ancestor of j

    def wrong_from(i: Array) -> Array:
        adjusted = estimate[:, i]
        node = jnp.arange(len(truth))
        descendant = ancestor[i] & (node != i)
        # Nodes on directed paths from i to j, and their descendants, must not be adjusted for.
        on_path = descendant[:, None] & ancestor  # (k, j)
        spoiled = (ancestor.astype(jnp.int32) @ adjusted) > 0  # k or a descendant of k is adjusted for
        forbidden = jnp.any(on_path & spoiled[:, None], axis=0)
        invalid = forbidden | _open_backdoor(truth, ancestor, adjusted, i)
        return jnp.sum(jnp.where(adjusted, descendant, invalid) & (node != i))

    return jnp.sum(jax.lax.map(wrong_from, jnp.arange(len(truth))))


def transitive_closure(graph: Graph) -> Bool[Array, "d d"]:
    """The graph of ancestors of an acyclic graph: entry (i, j) if a directed path leads from i to j."""
    graph = jnp.asarray(graph) != 0
    return _closure(graph) & ~jnp.eye(len(graph), dtype=bool)


def _open_backdoor(truth: Array, ancestor: Array, adjusted: Array, i: Array) -> Bool[Array, " d"]:
    """For every j: does a path from i to j that is not directed stay open given the adjusted nodes?

    Bayes ball on states (node, entered from a child) and (node, entered from a parent). Walks that begin with an edge
    of a directed path to j are left out, and so are those that return to i.
    """
    node = jnp.arange(len(truth))
    collider = (ancestor.astype(jnp.int32) @ adjusted) > 0  # the node or a descendant of it is adjusted for
    free, allowed = ~adjusted, node != i
    up, down = truth.T & allowed, truth & allowed  # to parents, to children, never back to i
    from_child = jnp.concatenate([up & free[:, None], down & free[:, None]], axis=1)
    from_parent = jnp.concatenate([up & collider[:, None], down & free[:, None]], axis=1)
    reach = _closure(jnp.concatenate([from_child, from_parent], axis=0))
    d = len(truth)
    reached = reach[:, :d] | reach[:, d:]  # (state, j)
    by_parent = jnp.any(truth[:, i][:, None] & reached[:d], axis=0)
    # A child that is an ancestor of j begins a directed path; any other child reaches j only through a collider.
    by_child = jnp.any(truth[i][:, None] & ~ancestor & reached[d:], axis=0)
    return by_parent | by_child


def _closure(relation: Bool[Array, "s s"]) -> Bool[Array, "s s"]:
    """Reflexive and transitive closure, by repeated squaring."""
    reach = (relation | jnp.eye(len(relation), dtype=bool)).astype(jnp.float32)
    for _ in range(max(1, (len(relation) - 1).bit_length())):
        reach = jnp.minimum(reach @ reach, 1.0)
    return reach > 0


def varsortability(graph: Graph, variances: Float[Array, " d"]) -> Float[Array, ""]:
    """Share of edges whose effect has the larger variance (Reisach et al. 2021), a check of simulations.

    It is 0.5 if the order of the variances is unrelated to the causal order. Near 1, sorting the nodes by variance
    recovers the graph. Only edges are counted, not longer paths; without edges it is NaN.

    Args:
        graph: A directed graph.
        variances: Variances of the nodes in observational data.
    """
    edges = graph != 0
    rises = variances[None, :] > variances[:, None]
    return jnp.sum(rises & edges) / jnp.sum(edges)
