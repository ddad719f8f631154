"""What scikit-learn asks of a transformer before it takes it into a pipeline."""

from typing import Any

from causalrep.base.estimator import Habits


class Transformer(Habits):
    """scikit-learn's habits for ``fit(X, D)`` and ``transform(X)``: demographics stand in the place of a target."""

    def __sklearn_tags__(self) -> Any:
        # Only scikit-learn asks, so it is there.
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=True, two_d_labels=True),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(),
        )
