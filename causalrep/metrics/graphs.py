"""Distances between causal graphs: structural Hamming distance (SHD) and structural intervention distance (SID).

Graphs are d x d matrices with entry (i, j) non-zero for an edge ``i -> j``, and both (i, j) and (j, i) for an
undirected edge.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from causalrep.base.checks import as_numbers, is_concrete
from causalrep.base.validation import check_rows
from causalrep.errors import InputError
from causalrep.precision import keep_float64

Graph = Num[Array, "d d"] | Bool[Array, "d d"]


def shd(truth: Graph, estimate: Graph, *, reversal: int = 1) -> Num[Array, ""]:
    """Structural Hamming distance: pairs of nodes whose edge (none, one way, the other way, undirected) differs.

    Args:
        truth: The true graph, directed or partly directed.
        estimate: The estimate.
        reversal: Cost of a reversed edge: 1, or 2 for the distance that counts its removal and its insertion. In the
            latter an edge that should be undirected costs 1.

    Raises:
        InputError: If the graphs are not square matrices of one shape without missing values, or ``reversal`` is
            neither 1 nor 2.

    >>> import jax.numpy as jnp
    >>> chain, back = jnp.array([[0, 1], [0, 0]]), jnp.array([[0, 0], [1, 0]])
    >>> int(shd(chain, back)), int(shd(chain, back, reversal=2))
    (1, 2)
    """
    if reversal not in (1, 2):
        raise InputError("reversal", found=repr(reversal), expected="1 or 2")
    return _differences(*_edges(truth=truth, estimate=estimate), reversal)


def sid(truth: Graph, estimate: Graph) -> Num[Array, ""]:
    """Structural intervention distance (Peters and Buehlmann 2015) of two directed acyclic graphs.

    The number of ordered pairs (i, j) whose interventional distribution ``p(j | do(i))`` is wrong if the parents of i
    in the *estimate* are adjusted for in the *true* model. It is 0 for every supergraph of the truth with a valid
    order, at most d (d - 1), and not symmetric. The cost is that of d log d products of boolean 2d x 2d matrices.

    Args:
        truth: The true graph, acyclic.
        estimate: The estimate, acyclic: a class of graphs has no single distance.

    Raises:
        InputError: If the graphs are not square matrices of one shape without missing values, or (unless traced) one
            has a cycle, an undirected edge or an edge from a node to itself.

    >>> chain = jnp.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> int(sid(chain, chain)), int(sid(chain, chain.T))
    (0, 6)
    """
    truth, estimate = _edges(truth=truth, estimate=estimate)
    for name, graph in {"truth": truth, "estimate": estimate}.items():
        if is_concrete(graph) and not _is_acyclic(graph):
            raise InputError(name, found="a graph with a cycle", expected="a directed acyclic graph")
    truth, estimate = jnp.asarray(truth), jnp.asarray(estimate)
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
    """The graph of ancestors of an acyclic graph: entry (i, j) if a directed path leads from i to j.

    >>> transitive_closure(jnp.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])).astype(int).tolist()
    [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    """
    (graph,) = map(jnp.asarray, _edges(graph=graph))
    return _closure(graph) & ~jnp.eye(len(graph), dtype=bool)


@partial(jax.jit, static_argnums=2)
def _differences(truth: Bool[Array, "d d"], estimate: Bool[Array, "d d"], reversal: int) -> Num[Array, ""]:
    differs = truth != estimate
    if reversal == 1:
        differs = jnp.triu(differs | differs.T, 1)
    return jnp.sum(differs & ~jnp.eye(len(differs), dtype=bool))


def _edges(**graphs: Any) -> list[Any]:
    """Which entries are edges, of square matrices of one shape: NumPy's arrays unless they are traced."""
    (first, *_), edges = graphs, []
    for name, graph in graphs.items():
        matrix = as_numbers(name, graph, ndim=2)
        if matrix.shape[0] != matrix.shape[1]:
            raise InputError(name, found=f"shape {matrix.shape}", expected="a square matrix")
        edges.append((np.asarray(matrix) if is_concrete(matrix) else matrix) != 0)
        check_rows(name, len(matrix), rows=len(edges[0]), of=first)
    return edges


def _is_acyclic(graph: np.ndarray) -> bool:
    """Whether nodes without parents can be taken away until none is left."""
    while len(graph):
        inner = graph.any(axis=0)
        if inner.all():
            return False
        graph = graph[np.ix_(inner, inner)]
    return True


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


@keep_float64
def varsortability(graph: Graph, variances: Float[Array, " d"]) -> Float[Array, ""]:
    """Share of edges whose effect has the larger variance (Reisach et al. 2021), a check of simulations.

    It is 0.5 if the order of the variances is unrelated to the causal order. Near 1, sorting the nodes by variance
    recovers the graph. Only edges are counted, not longer paths; without edges it is NaN.

    Args:
        graph: A directed graph.
        variances: Variances of the nodes in observational data.

    Raises:
        InputError: If the graph is not square, or there is not one finite variance of at least 0 per node.

    >>> float(varsortability(jnp.array([[0, 1], [0, 0]]), jnp.array([1.0, 2.0])))
    1.0
    """
    (edges,) = _edges(graph=graph)
    variances = as_numbers("variances", variances, ndim=1)
    check_rows("variances", len(variances), rows=len(edges), of="graph")
    if is_concrete(variances) and (np.asarray(variances) < 0).any():
        raise InputError("variances", found="negative values", expected="at least 0")
    rises = variances[None, :] > variances[:, None]
    return jnp.sum(rises & edges) / jnp.sum(edges)
