"""Time-contrastive learning (Hyvarinen and Morioka, NeurIPS 2016): which segment does this row come from?

The classifier's logits are linear in ``|h(x)|``. If the latents are independent, only their scales differ between
segments, and their densities satisfy ``log p(z_i | u) = -|z_i| / s_i(u) + const``, then the best classifier has ``|h|``
equal to a linear map of ``|z|``, which linear ICA of ``|h|`` undoes. What is identified is ``|z_i|``, up to order,
scale and a constant, if the mixing is invertible and the matrix of the segments' ``1 / s_i(u)`` has full rank, which
takes more segments than latents. Signs are not identified.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Domain, Whole, Widths
from causalrep.keys import derive, root
from causalrep.latent.environments.door import as_labelled
from causalrep.latent.environments.network import Network
from causalrep.latent.environments.rows import DEFAULT, CodedRows
from causalrep.latent.ica import fast_ica
from causalrep.nn import trained_mlp
from causalrep.training import Objective, Schedule
from causalrep.training.rows import InSchedule


class SegmentClassifier(nn.Module):
    """Multinomial logistic regression on the absolute values of learned features.

    Attributes:
        latents: Number of features.
        segments: Number of segments.
        hidden: Widths of the perceptron.
    """

    latents: int
    segments: int
    hidden: tuple[int, ...] = (64, 64)

    def setup(self) -> None:
        """The perceptron h, and the linear layer on its absolute values."""
        self.network = trained_mlp((*self.hidden, self.latents), activation=nn.leaky_relu)
        self.output = nn.Dense(self.segments)

    def encode(self, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
        """``|h(x)|``, before linear ICA."""
        return jnp.abs(self.network(x))

    def __call__(self, x: Float[Array, "n p"]) -> Float[Array, "n segments"]:
        """Logits of the segments."""
        return self.output(self.encode(x))


@lru_cache
def tcl_objective(model: SegmentClassifier) -> Objective:
    """Cross-entropy of the segments, in nats."""

    def init(key: Key[Array, ""], batch: CodedRows) -> Mapping:
        return model.init(key, batch.x)

    def loss(params: Mapping, key: Key[Array, ""], batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        logits = model.apply(params, batch.x)
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch.code)
        return jnp.mean(batch.weight * entropy), {"accuracy": jnp.mean(jnp.argmax(logits, axis=1) == batch.code)}

    return Objective(init, loss)


class TCL(Network):
    """Time-contrastive learning: a classifier of segments, then linear ICA of its features (Hyvarinen, Morioka 2016).

    It identifies the magnitude ``|z_i|`` of each latent, up to order, scale and a constant, if the mixing is invertible
    and the latents are independent and Laplace in each segment, with scales that alone differ between segments, of
    which there are more than latents. Signs are not identified, and one segment identifies nothing.

    Args:
        latents: Number of features.
        hidden: Widths of the perceptron.
        schedule: Steps, batch size, learning rate and restarts.
        seed: Random seed.

    Attributes:
        params_: Parameters of the network.
        unmixing_: Unmixing matrix of the linear ICA (latents, latents).
        validation_loss_: Cross-entropy of the held-out rows, in nats; ``log(segments)`` if nothing was learned.
        n_features_in_: Number of observed variables.

    >>> TCL(5)
    TCL(latents=5)
    """

    _domains: ClassVar[dict[str, Domain]] = {
        "latents": Whole(),
        "hidden": Widths(),
        "schedule": InSchedule(DEFAULT),
        "seed": Whole(None),
    }

    def __init__(
        self, latents: int, *, hidden: tuple[int, ...] = (64, 64), schedule: Schedule = DEFAULT, seed: int = 0
    ):
        self.latents = latents
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, segment: Any) -> Self:
        """Train on rows (n, p) with the label of each row's segment (n,)."""
        self._check_domains()
        rows = as_labelled("segment", X, segment)
        self.columns_ = rows.columns
        self.model_ = SegmentClassifier(self.latents, len(rows.labels), tuple(self.hidden))
        self._train(rows.x, rows.codes, tcl_objective(self.model_))
        features = super().transform(X)
        with self._computing():
            ica = fast_ica(derive(root(self.seed), "ica"), jnp.asarray(features), self.latents)
        self.unmixing_ = np.asarray(ica.unmixing)
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "n latents"]:
        """Estimated magnitudes of the latents of rows, in units and with an origin of their own."""
        unmixing = self.unmixing_
        return super().transform(X) @ unmixing.T
