"""CEVAE: a variational autoencoder whose code is the hidden confounder, seen through proxies.

    p(z) = N(0, I),  p(x|z),  p(t|z) = Bern(.),  p(y|t,z) = N(mu_t(z), 1) or Bern(.)
    q(z|x,t,y),  and q(t|x), q(y|x,t) to predict for units of which x alone is known

Louizos, Shalit, Mooij, Sontag, Socher and Welling (2017), "Causal Effect Inference with Deep Latent-Variable Models",
NeurIPS; layers and training as in the authors' code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree
from numpyro.infer import TraceMeanField_ELBO

from causalrep.confounders.vluci.fit import PotentialOutcomes
from causalrep.nn import trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.rows import plan_epochs, split_rows

Batch = Mapping[str, jax.Array]
# Units of the hidden layer of q(t|x), as in the authors' code.
TREATMENT_GUIDE = 20


@dataclass(frozen=True)
class CEVAEModel:
    """What is assumed, and how large the networks are.

    Attributes:
        binary: Columns of x that are 0 or 1; the others are normal given z.
        latents: Dimension of z.
        hidden: Width of all hidden layers.
        outcome: ``"gaussian"``, with unit variance on the standardised outcome, or ``"bernoulli"``.
    """

    binary: tuple[int, ...] = ()
    latents: int = 20
    hidden: int = 200
    outcome: Literal["gaussian", "bernoulli"] = "gaussian"


class CEVAETraining(NamedTuple):
    """How it is trained; all static.

    Attributes:
        epochs: Passes over the training rows. The authors' 100 epochs are of ten passes each.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        validation_share: Share of the rows that select the parameters, by the objective.
    """

    epochs: int = 100
    batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    validation_share: float = 0.3


class CEVAEFit(NamedTuple):
    """A fitted CEVAE.

    Attributes:
        params: Of its networks.
        x_mean: Of the columns of x; 0 for the binary ones (d,).
        x_std: 1 for the binary ones (d,).
        y_mean: Of the outcome; 0 if it is binary.
        y_std: 1 if it is binary.
        loss: The objective on the rows that selected the parameters, in nats a row.
        diverged: Whether some loss or gradient was not finite; ``params`` are then the last finite ones.
        first_bad_step: The update at which that happened, or -1.
    """

    params: PyTree
    x_mean: Float[Array, " d"]
    x_std: Float[Array, " d"]
    y_mean: Float[Array, ""]
    y_std: Float[Array, ""]
    loss: Float[Array, ""]
    diverged: Bool[Array, ""]
    first_bad_step: Int[Array, ""]


class Networks(nn.Module):
    """The networks of a :class:`CEVAEModel`, and the NumPyro programs over them.

    Attributes:
        model: What is assumed.
        columns: d, of x.
    """

    model: CEVAEModel
    columns: int

    def setup(self) -> None:
        """Layers as in the authors' code; each arm has its own."""
        h, z = self.model.hidden, self.model.latents
        self.others = tuple(j for j in range(self.columns) if j not in self.model.binary)
        self.x_trunk = trained_mlp((h, h), nn.elu, activate_final=True)
        self.x_nets = {
            kind: trained_mlp((h, width), nn.elu)
            for kind, width in (("binary", len(self.model.binary)), ("normal", 2 * len(self.others)))
            if width
        }
        self.t_net = trained_mlp((h, 1), nn.elu)
        self.y_nets = [trained_mlp((h, h, h, 1), nn.elu) for _ in range(2)]
        self.q_t_net = trained_mlp((TREATMENT_GUIDE, 1), nn.elu)
        self.q_y_trunk = trained_mlp((h, h), nn.elu, activate_final=True)
        self.q_y_nets = [trained_mlp((h, 1), nn.elu) for _ in range(2)]
        self.q_z_trunk = trained_mlp((h, h), nn.elu, activate_final=True)
        self.q_z_nets = [trained_mlp((h, 2 * z), nn.elu) for _ in range(2)]

    def __call__(self, batch: Batch) -> None:
        """Touches every network, to initialise them."""
        z = jnp.zeros((batch["x"].shape[0], self.model.latents), batch["x"].dtype)
        self.encode(batch["x"], batch["t"], batch["y"]), self.guessed_t(batch["x"]), self.guessed_y(batch["x"])
        self.proxies(z), self.t_net(z), self.outcomes(z)

    def encode(self, x: Array, t: Array, y: Array) -> dist.Distribution:
        """``q(z|x,t,y)``."""
        features = self.q_z_trunk(jnp.column_stack([x, y]))
        untreated, treated = (net(features) for net in self.q_z_nets)
        loc, raw = jnp.split(jnp.where((t == 1)[:, None], treated, untreated), 2, axis=-1)
        return dist.Normal(loc, nn.softplus(raw)).to_event(1)

    def guessed_t(self, x: Float[Array, "n d"]) -> dist.Distribution:
        """``q(t|x)``."""
        return dist.Bernoulli(logits=self.q_t_net(x)[:, 0])

    def guessed_y(self, x: Float[Array, "n d"]) -> Float[Array, "n 2"]:
        """The location of ``q(y|x,t)`` for t = 0, 1: a mean, or log odds."""
        features = self.q_y_trunk(x)
        return jnp.column_stack([net(features) for net in self.q_y_nets])

    def outcomes(self, z: Float[Array, "n k"]) -> Float[Array, "n 2"]:
        """The location of ``p(y|t,z)`` for t = 0, 1: a mean, or log odds."""
        return jnp.column_stack([net(z) for net in self.y_nets])

    def proxies(self, z: Float[Array, "n k"]) -> dict[str, tuple[dist.Distribution, tuple[int, ...]]]:
        """``p(x|z)`` of the binary columns and of the normal ones, each with the columns it is of."""
        features, found = self.x_trunk(z), {}
        if "binary" in self.x_nets:
            law = dist.Bernoulli(logits=self.x_nets["binary"](features))
            found["x_binary"] = law.to_event(1), self.model.binary
        if "normal" in self.x_nets:
            loc, raw = jnp.split(self.x_nets["normal"](features), 2, axis=-1)
            # A proxy that z reproduces would have a scale of zero and an unbounded density.
            found["x_normal"] = dist.Normal(loc, 1e-3 + nn.softplus(raw)).to_event(1), self.others
        return found

    def outcome_site(self, location: Float[Array, " n"]) -> dist.Distribution:
        """An outcome's law at a location."""
        return dist.Bernoulli(logits=location) if self.model.outcome == "bernoulli" else dist.Normal(location, 1.0)

    def program(self, batch: Batch) -> None:
        """The NumPyro model."""
        x, t, y = batch["x"], batch["t"], batch["y"]
        n = x.shape[0]
        with numpyro.plate("rows", n):
            z = numpyro.sample("z", dist.Normal(jnp.zeros((n, self.model.latents)), 1.0).to_event(1))
            for name, (law, columns) in self.proxies(z).items():
                numpyro.sample(name, law, obs=x[:, jnp.array(columns)])
            numpyro.sample("t", dist.Bernoulli(logits=self.t_net(z)[:, 0]), obs=t)
            numpyro.sample("y", self.outcome_site(_own_arm(t, self.outcomes(z))), obs=y)

    def guide(self, batch: Batch) -> None:
        """The NumPyro guide."""
        with numpyro.plate("rows", batch["x"].shape[0]):
            numpyro.sample("z", self.encode(batch["x"], batch["t"], batch["y"]))

    def guesses(self, batch: Batch) -> Float[Array, " n"]:
        """``log q(t|x) + log q(y|x,t)``, which the bound does not train."""
        x, t, y = batch["x"], batch["t"], batch["y"]
        return self.guessed_t(x).log_prob(t) + self.outcome_site(_own_arm(t, self.guessed_y(x))).log_prob(y)


@lru_cache
def cevae_objective(model: CEVAEModel, columns: int) -> Objective:
    """The negative of evidence lower bound plus ``log q(t|x) + log q(y|x,t)``, a row.

    Args:
        model: What is assumed.
        columns: d, of x. Batches hold ``x`` (n, d), ``t`` and ``y`` (n,).
    """
    networks, elbo = Networks(model, columns), TraceMeanField_ELBO()

    def init(key: jax.Array, batch: Batch) -> PyTree:
        return networks.init(key, batch)

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        def program(method: str) -> None:
            networks.apply(params, batch, method=method)

        bound = -elbo.loss(key, {}, lambda: program("program"), lambda: program("guide")) / batch["x"].shape[0]
        guesses = jnp.mean(networks.apply(params, batch, method="guesses"))
        return -(bound + guesses), {"bound": bound}

    return Objective(init, loss)


def cevae(
    key: Key[Array, ""],
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    *,
    model: CEVAEModel,
    training: CEVAETraining,
) -> CEVAEFit:
    """Fit CEVAE.

    Args:
        key: Of the split, initialisation, batches and samples of z.
        x: Proxies of the hidden confounder; columns of ``model.binary`` hold 0 and 1.
        t: Treatment, 0 or 1.
        y: Outcome.
        model: What is assumed.
        training: How to train.
    """
    split_key, fit_key = jax.random.split(key)
    x, t, y = (jnp.asarray(values, jnp.float32) for values in (x, t, y))
    binary = jnp.isin(jnp.arange(x.shape[1]), jnp.array(model.binary, int))
    moments = x.mean(0), x.std(0), y.mean(), y.std()
    if model.outcome == "bernoulli":
        moments = *moments[:2], jnp.zeros(()), jnp.ones(())
    x_mean, x_std, y_mean, y_std = moments
    x_mean, x_std = jnp.where(binary, 0.0, x_mean), jnp.where(binary | (x_std == 0), 1.0, x_std)
    y_std = jnp.where(y_std > 0, y_std, 1.0)
    data = {"x": (x - x_mean) / x_std, "t": t, "y": (y - y_mean) / y_std}
    plan = plan_epochs(
        len(y), validation_share=training.validation_share, epochs=training.epochs, batch_size=training.batch_size
    )
    order = jax.random.permutation(split_key, len(y))
    rows, held_out = split_rows(jax.tree.map(lambda leaf: leaf[order], data), plan.rows)
    found = fit(
        cevae_objective(model, x.shape[1]),
        _adam(training.learning_rate, training.weight_decay),
        rows,
        fit_key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        validation=held_out,
        eval_every=plan.eval_every,
    )
    return CEVAEFit(found.params, x_mean, x_std, y_mean, y_std, found.final_loss, found.diverged, found.first_bad_step)


def cevae_outcomes(
    key: Key[Array, ""], model: CEVAEModel, found: CEVAEFit, x: Float[Array, "n d"], draws: int = 100
) -> PotentialOutcomes:
    """Expected potential outcomes given x alone: t and y are drawn from q(t|x), q(y|x,t), then z from q(z|x,t,y).

    Args:
        key: Random key.
        model: What is assumed.
        found: The fit.
        x: Proxies.
        draws: L, over which the outcome networks' means are averaged.
    """
    networks = Networks(model, x.shape[1])
    x = (jnp.asarray(x, jnp.float32) - found.x_mean) / found.x_std

    def one(draw_key: jax.Array) -> Array:
        t_key, y_key, z_key = jax.random.split(draw_key, 3)

        def sampled(module: Networks) -> Array:
            t = module.guessed_t(x).sample(t_key).astype(x.dtype)
            y = module.outcome_site(_own_arm(t, module.guessed_y(x))).sample(y_key).astype(x.dtype)
            location = module.outcomes(module.encode(x, t, y).sample(z_key))
            return jax.nn.sigmoid(location) if model.outcome == "bernoulli" else location

        return networks.apply(found.params, method=sampled)

    mean = jnp.mean(jax.lax.map(one, jax.random.split(key, draws)), axis=0)
    return PotentialOutcomes(*(found.y_mean + found.y_std * mean).T)


def _own_arm(t: Float[Array, " n"], both: Float[Array, "n 2"]) -> Float[Array, " n"]:
    return jnp.where(t == 1, both[:, 1], both[:, 0])


@lru_cache
def _adam(learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
    return optax.adamw(learning_rate, weight_decay=weight_decay)
