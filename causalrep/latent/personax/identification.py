"""What the assumptions of PersonaX identify, given a latent graph: counts and neighborhoods, no data.

The rules are ours, derived from the assumptions as our notes state them (the paper's wording was not available):

* A modality's block is identified up to an invertible map if at least three views are independent given it: its own
  measurements, and all other modalities together if one depends on it. The others count as one view, because given
  this block their measurements still depend on one another.
* Within an identified block, mixing latent a into latent b (``b' = phi(a, b)``) keeps the distribution and adds no edge
  between modalities if and only if all of b's neighbors in other modalities are neighbors of a as well. Sparsity of
  these edges therefore identifies b up to functions of itself and of every such a.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool

from causalrep.errors import InputError

FEWEST_VIEWS = 3


def identification(
    graph: Bool[np.ndarray, "d d"], blocks: Sequence[Sequence[int]], measurements: Sequence[int]
) -> pd.DataFrame:
    """Whether each latent and its block are identified.

    Args:
        graph: Entry (i, j) for an edge ``z_i -> z_j``.
        blocks: Columns of each modality's latents; they cover all columns, each once.
        measurements: Number of measurements of each modality.

    Returns:
        A frame with one row per latent: ``modality``; ``views``, the number of views of its block; ``block``, whether
        that is enough; ``mixed_with``, the latents of its modality that sparsity does not keep out of it;
        ``component``, whether it is identified up to an invertible map of its own.

    Raises:
        InputError: If blocks and graph do not fit together.

    >>> chain = np.zeros((4, 4), bool)
    >>> chain[0, 1] = chain[0, 2] = chain[2, 3] = True
    >>> identification(chain, [(0, 1), (2, 3)], [3, 1])[["views", "mixed_with", "component"]]
       views mixed_with  component
    0      4         ()       True
    1      4       (0,)      False
    2      2         ()      False
    3      2       (2,)      False
    """
    graph = np.asarray(graph).astype(bool)
    covered = sorted(column for block in blocks for column in block)
    if graph.ndim != 2 or covered != list(range(len(graph))) or graph.shape[0] != graph.shape[1]:
        raise InputError("blocks", found=f"columns {covered}", expected=f"each column of the {graph.shape} graph once")
    if len(measurements) != len(blocks):
        raise InputError("measurements", found=f"{len(measurements)} numbers", expected=f"{len(blocks)} numbers")
    linked = graph | graph.T
    owner = np.empty(len(graph), int)
    for modality, block in enumerate(blocks):
        owner[list(block)] = modality
    foreign = linked & (owner[:, None] != owner)
    rows = []
    for latent in range(len(graph)):
        modality = owner[latent]
        block = list(blocks[modality])
        views = measurements[modality] + int(foreign[block].any())
        # Latent a mixes in if this latent has no neighbor in another modality that a lacks.
        mixed = tuple(a for a in block if a != latent and not (foreign[latent] & ~foreign[a]).any())
        enough = views >= FEWEST_VIEWS
        rows.append((modality, views, enough, mixed, enough and not mixed))
    return pd.DataFrame(rows, columns=["modality", "views", "block", "mixed_with", "component"])
