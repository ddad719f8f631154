"""The networks with scikit-learn's habits: ``fit(Y, T, X=X)``, ``effect(X)``, averages with intervals, ``summary``."""

from typing import Any

from causalrep.base.validation import check_choice, check_counts, check_range, check_widths
from causalrep.effects.networks.base import NeuralEffectEstimator
from causalrep.effects.networks.cfr import DISCREPANCIES, CFRLearner
from causalrep.effects.networks.dragonnet import DragonLearner
from causalrep.effects.networks.snet import SNetLearner
from causalrep.effects.regressions.linear import LOGISTIC
from causalrep.effects.scores import CLIP


class TARNet(NeuralEffectEstimator):
    """Treatment-agnostic representation network: shared layers, then one head an arm.

    Args:
        representation: Widths of the shared layers.
        heads: Hidden widths of a head.
        penalty: On the squared weights of the heads.
        steps: Updates.
        batch_size: Rows an update.
        learning_rate: Of Adam, falling by 3% every 100 updates.
        validation_share: Share of the rows that choose the best update.
        propensity: Regression of the treatment, for the averages.
        cv: Folds of cross-fitting, for the averages.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Root of all randomness.

    Source: Shalit, Johansson and Sontag (2017), ICML. See :class:`~causalrep.effects.networks.CFRLearner`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, noise, t = rng.uniform(-2, 2, 600), rng.normal(size=600), rng.integers(0, 2, 600)
    >>> model = TARNet(representation=(32,), heads=(32,), steps=500)
    >>> model = model.fit(x + t * np.sin(2 * x) + 0.1 * noise, t, X=x)
    >>> np.sign(model.effect(np.array([-0.8, 0.8]))).tolist()
    [-1.0, 1.0]
    """

    _title = "TARNet"

    def __init__(
        self,
        *,
        representation=(200, 200, 200),
        heads=(100, 100, 100),
        penalty=1e-4,
        steps=3000,
        batch_size=100,
        learning_rate=1e-3,
        validation_share=0.3,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        self.representation = representation
        self.heads = heads
        self.penalty = penalty
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_share = validation_share
        self.propensity = propensity
        self.cv = cv
        self.clip = clip
        self.seed = seed

    def _core(self) -> CFRLearner:
        return CFRLearner(
            representation=tuple(self.representation),
            heads=tuple(self.heads),
            penalty=float(self.penalty),
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=float(self.learning_rate),
            validation_share=float(self.validation_share),
            **self._balancing(),
        )

    def _balancing(self) -> dict[str, Any]:
        return {}

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        check_widths("representation", self.representation, empty=False)
        check_widths("heads", self.heads, empty=False)
        check_counts(steps=self.steps)
        check_range("penalty", self.penalty, at_least=0)
        check_range("learning_rate", self.learning_rate, above=0)


class CFRNet(TARNet):
    """Counterfactual regression: :class:`TARNet` whose representation is made alike in both arms.

    Args:
        alpha: Weight of the discrepancy between the arms.
        discrepancy: ``"linear"`` or ``"rbf"`` (maximum mean discrepancy), or ``"wasserstein"`` (Sinkhorn), which
            needs a smaller ``alpha``: its smoothing also pulls the units of one arm together, and next to standardised
            errors 0.3 left one effect for all on some replications of IHDP.
        representation: Widths of the shared layers.
        heads: Hidden widths of a head.
        penalty: On the squared weights of the heads.
        steps: Updates.
        batch_size: Rows an update.
        learning_rate: Of Adam, falling by 3% every 100 updates.
        validation_share: Share of the rows that choose the best update.
        propensity: Regression of the treatment, for the averages.
        cv: Folds of cross-fitting, for the averages.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Root of all randomness.

    Source: Shalit, Johansson and Sontag (2017), ICML. See :class:`~causalrep.effects.networks.CFRLearner`.
    """

    _title = "Counterfactual regression (CFR)"

    def __init__(
        self,
        *,
        alpha=0.3,
        discrepancy="linear",
        representation=(200, 200, 200),
        heads=(100, 100, 100),
        penalty=1e-4,
        steps=3000,
        batch_size=100,
        learning_rate=1e-3,
        validation_share=0.3,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        super().__init__(
            representation=representation,
            heads=heads,
            penalty=penalty,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            validation_share=validation_share,
            propensity=propensity,
            cv=cv,
            clip=clip,
            seed=seed,
        )
        self.alpha = alpha
        self.discrepancy = discrepancy

    def _balancing(self) -> dict[str, Any]:
        return {"alpha": float(self.alpha), "discrepancy": self.discrepancy}

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        check_range("alpha", self.alpha, at_least=0)
        check_choice("discrepancy", self.discrepancy, tuple(DISCREPANCIES))


class BNN(CFRNet):
    """Balancing neural network: one head that sees the treatment beside a balanced representation.

    See :class:`CFRNet` for the arguments.

    Source: Johansson, Shalit and Sontag (2016), ICML. See :class:`~causalrep.effects.networks.CFRLearner`.
    """

    _title = "Balancing neural network (BNN)"

    def __init__(
        self,
        *,
        alpha=0.3,
        discrepancy="linear",
        representation=(200, 200, 200),
        heads=(100, 100, 100),
        penalty=1e-4,
        steps=3000,
        batch_size=100,
        learning_rate=1e-3,
        validation_share=0.3,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        super().__init__(
            alpha=alpha,
            discrepancy=discrepancy,
            representation=representation,
            heads=heads,
            penalty=penalty,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            validation_share=validation_share,
            propensity=propensity,
            cv=cv,
            clip=clip,
            seed=seed,
        )

    def _balancing(self) -> dict[str, Any]:
        return {**super()._balancing(), "split_output": False}


class DragonNet(NeuralEffectEstimator):
    """DragonNet: the representation also predicts the treatment, with targeted regularisation.

    ``ate()`` is the cross-fitted doubly robust average, as for every estimator here;
    :meth:`~causalrep.effects.networks.DragonLearner.average` is the paper's plug-in.

    Args:
        representation: Widths of the shared layers.
        heads: Hidden widths of an outcome head.
        targeted: Weight of the targeted regularisation; 0 leaves it out.
        penalty: On the squared weights of the outcome heads, next to losses summed over a batch.
        adam_epochs: Passes of Adam at most.
        sgd_epochs: Passes of slow gradient descent after it at most.
        batch_size: Rows an update.
        learning_rate: Of Adam.
        validation_share: Share of the rows that choose the best pass.
        propensity: Regression of the treatment, for the averages.
        cv: Folds of cross-fitting, for the averages.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Root of all randomness.

    Source: Shi, Blei and Veitch (2019), NeurIPS. See :class:`~causalrep.effects.networks.DragonLearner`.
    """

    _title = "DragonNet"

    def __init__(
        self,
        *,
        representation=(200, 200, 200),
        heads=(100, 100),
        targeted=1.0,
        penalty=0.01,
        adam_epochs=100,
        sgd_epochs=300,
        batch_size=64,
        learning_rate=1e-3,
        validation_share=0.2,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        self.representation = representation
        self.heads = heads
        self.targeted = targeted
        self.penalty = penalty
        self.adam_epochs = adam_epochs
        self.sgd_epochs = sgd_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_share = validation_share
        self.propensity = propensity
        self.cv = cv
        self.clip = clip
        self.seed = seed

    def _core(self) -> DragonLearner:
        return DragonLearner(
            representation=tuple(self.representation),
            heads=tuple(self.heads),
            targeted=float(self.targeted),
            penalty=float(self.penalty),
            batch_size=self.batch_size,
            adam_epochs=self.adam_epochs,
            sgd_epochs=self.sgd_epochs,
            adam_rate=float(self.learning_rate),
            validation_share=float(self.validation_share),
        )

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        check_widths("representation", self.representation, empty=False)
        check_widths("heads", self.heads, empty=False)
        check_counts(adam_epochs=self.adam_epochs, sgd_epochs=self.sgd_epochs)
        for name in ("targeted", "penalty"):
            check_range(name, getattr(self, name), at_least=0)
        check_range("learning_rate", self.learning_rate, above=0)


class SNet(NeuralEffectEstimator):
    """SNet: separate representations for what moves both outcomes, one of them, the treatment, or all.

    Args:
        large: Widths of the representations of everything and of the treatment alone.
        small: Widths of those of the outcomes alone.
        heads: Hidden widths of a head.
        penalty: On squared weights.
        orthogonal: Weight of the penalty on covariates that several representations use.
        steps: Updates.
        batch_size: Rows an update.
        learning_rate: Of Adam.
        validation_share: Share of the rows that choose the best update.
        propensity: Regression of the treatment, for the averages.
        cv: Folds of cross-fitting, for the averages.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Root of all randomness.

    Source: Curth and van der Schaar (2021), AISTATS. See :class:`~causalrep.effects.networks.SNetLearner`.
    """

    _title = "SNet"

    def __init__(
        self,
        *,
        large=(100, 100, 100),
        small=(50, 50, 50),
        heads=(100, 100),
        penalty=1e-4,
        orthogonal=0.01,
        steps=5000,
        batch_size=100,
        learning_rate=1e-4,
        validation_share=0.3,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        self.large = large
        self.small = small
        self.heads = heads
        self.penalty = penalty
        self.orthogonal = orthogonal
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_share = validation_share
        self.propensity = propensity
        self.cv = cv
        self.clip = clip
        self.seed = seed

    def _core(self) -> SNetLearner:
        return SNetLearner(
            large=tuple(self.large),
            small=tuple(self.small),
            heads=tuple(self.heads),
            penalty=float(self.penalty),
            orthogonal=float(self.orthogonal),
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=float(self.learning_rate),
            validation_share=float(self.validation_share),
        )

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        for name in ("large", "small", "heads"):
            check_widths(name, getattr(self, name))
        check_counts(steps=self.steps)
        for name in ("penalty", "orthogonal"):
            check_range(name, getattr(self, name), at_least=0)
        check_range("learning_rate", self.learning_rate, above=0)
