"""The grain loader: which rows a batch holds, and what is refused."""

import grain
import numpy as np
import pytest

from causalrep.errors import DataError, InputError
from causalrep.training import GrainLoader, train
from tests.training.problems import ADAM, OBJECTIVE, grain_rows, rows


def _loader(n=20, batch_size=4, **options):
    return GrainLoader(grain.MapDataset.source(np.arange(n)).seed(0).shuffle().repeat(), batch_size, **options)


def test_an_epoch_holds_every_row_once_and_epochs_differ():
    batches = _loader().batches(start=0)
    first, second = (np.concatenate([next(batches) for _ in range(5)]) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(20))
    assert list(first) != list(second)


def test_the_position_is_the_step():
    batches = _loader().batches(start=0)
    ahead = [next(batches) for _ in range(9)]
    np.testing.assert_array_equal(next(_loader().batches(start=7)), ahead[7])


def test_hosts_read_disjoint_rows_of_one_batch():
    whole = next(_loader().batches(start=3))
    parts = [next(_loader().batches(start=3, rows=np.arange(first, first + 2))) for first in (0, 2)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_random_augmentation_depends_on_the_element_alone():
    dataset = grain.MapDataset.source(np.arange(12.0)).seed(1).random_map(lambda x, rng: x + rng.normal())
    loader = GrainLoader(dataset, 4)
    assert len(loader) == 3
    once, again = next(loader.batches(start=1)), next(loader.batches(start=1, rows=np.arange(2)))
    np.testing.assert_array_equal(once[:2], again)


def test_what_cannot_be_split_is_refused():
    dataset = grain.MapDataset.source(np.arange(8))
    with pytest.raises(InputError, match=r"dataset: found \w*IterDataset"):
        GrainLoader(dataset.to_iter_dataset(), 4)
    for batched in (dataset.batch(4), dataset.batch(4).map(lambda x: x + 1), grain.MapDataset.mix([dataset.batch(2)])):
        with pytest.raises(InputError, match=r"dataset: found batches, made by \.batch\(\); expected single rows"):
            GrainLoader(batched, 2)
    with pytest.raises(InputError, match="dataset: found 8 elements; expected at least batch_size = 9"):
        GrainLoader(dataset, 9)
    with pytest.raises(InputError, match="threads: found 0"):
        GrainLoader(dataset, 4, threads=0)
    with pytest.raises(DataError, match="leaves elements out"):
        GrainLoader(dataset.filter(lambda x: x % 2 == 0), 4).example()


def test_a_loader_that_ends_before_the_fit_is_refused():
    import jax

    loader = grain_rows(rows(64), 32)
    once = GrainLoader(grain.MapDataset.source(np.zeros((64, 2))), 32)
    with pytest.raises(InputError, match=r"steps: found 3; expected at most the loader's 2 batches; see .repeat\(\)"):
        train(OBJECTIVE, ADAM, once, jax.random.key(0), steps=3)
    with pytest.raises(InputError, match="batch_size: found 16; expected None, or the loader's 32"):
        train(OBJECTIVE, ADAM, loader, jax.random.key(0), steps=3, batch_size=16)
