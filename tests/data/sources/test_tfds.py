"""Prepared copies return every example, and a copy that lost some is refused."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from causalrep.data.sources.tfds import prepared_source
from causalrep.errors import DataError

FEATURES = {"row": ((2, 3), np.int64), "label": ((), np.int64)}


def source(calls, variant="default"):
    def examples():
        calls.append(variant)
        for i in range(40):
            yield {"row": np.full((2, 3), i), "label": np.int64(i)}

    return prepared_source("toy", features=FEATURES, examples=examples, description="Forty rows.", variant=variant)


def test_examples_come_back_and_are_prepared_once(empty_home):
    calls = []
    for variant in ("default", "default", "other"):
        examples = source(calls, variant)
        assert sorted(int(example["label"]) for example in examples) == list(range(40))
        assert all((example["row"] == example["label"]).all() for example in examples)
    assert calls == ["default", "other"]
    assert (empty_home / ".cache" / "causalrep" / "prepared" / "toy").is_dir()


def test_a_copy_that_lost_examples_is_refused(empty_home, monkeypatch):
    source([])
    whole = tfds.core.GeneratorBasedBuilder.as_data_source

    def short(self, *args, **kwargs):
        return list(whole(self, *args, **kwargs))[:-1]

    monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "as_data_source", short)
    with pytest.raises(DataError, match=r"^toy: the prepared copy in .* holds 39 of 40 examples"):
        source([])
