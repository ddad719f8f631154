"""Prepared copies of file-based data sets, through TensorFlow Datasets without TensorFlow.

Builders write ``array_record`` files, which ``as_data_source`` reads with random access. The ``parquet`` format of the
current release loses rows without an error, so it is never used, and every read checks the number of examples.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from causalrep.data.sources.folder import cache_folder
from causalrep.errors import DataError

Example = Mapping[str, np.ndarray]
_VERSION = "1.0.0"


def prepared_source(
    dataset: str,
    *,
    features: Mapping[str, tuple[tuple[int, ...], type]],
    examples: Callable[[], Iterable[Example]],
    description: str,
    variant: str = "default",
) -> Sequence[dict[str, Any]]:
    """A random-access source of a data set's examples, prepared at the first call and cached on disk.

    Args:
        dataset: Name of the data set, in snake_case.
        features: Shape and dtype of each entry of an example.
        examples: Yields the examples. It is called only if nothing is prepared yet.
        description: One sentence for the metadata.
        variant: Name of the subset or version of the examples; every variant has its own cached copy.

    Raises:
        DataError: If the prepared copy holds fewer examples than its metadata say.
    """
    import tensorflow_datasets as tfds

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
        name = dataset
        VERSION = tfds.core.Version(_VERSION)
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=variant)]  # noqa: RUF012 (the base class's protocol)

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                description=description,
                disable_shuffling=True,
                features=tfds.features.FeaturesDict(
                    {
                        # Bytes, because the format stores lists of floats as float32 whatever the dtype says.
                        key: tfds.features.Tensor(
                            shape=shape,
                            dtype=dtype,
                            encoding="bytes" if np.issubdtype(dtype, np.floating) else "none",
                        )
                        for key, (shape, dtype) in features.items()
                    }
                ),
            )

        def _split_generators(self, dl_manager):
            del dl_manager  # causalrep.data.sources.folder finds and checks the files
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield from enumerate(examples())

    # The builder prints progress bars, and advice for contributors to its own catalogue.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        builder = Builder(data_dir=str(_prepared_folder()), config=variant, file_format="array_record")
        builder.download_and_prepare()
    source = builder.as_data_source(split="train")
    expected = builder.info.splits["train"].num_examples
    if len(source) != expected:
        raise DataError(
            f"{dataset}: the prepared copy in {builder.data_dir} holds {len(source)} of {expected} examples. Delete "
            "that folder, and it is prepared again."
        )
    return source


def _prepared_folder() -> Path:
    # The user's cache rather than the data folder, which may be shared and read-only.
    return cache_folder() / "prepared"
