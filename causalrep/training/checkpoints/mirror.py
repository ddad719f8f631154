"""Checkpoints in buckets that Orbax cannot write: a local folder whose complete checkpoints are uploaded.

Orbax writes local folders and ``gs://``. For ``s3://`` and every other place that fsspec knows, a checkpoint is written
to a local scratch folder and then uploaded, its digests last. A checkpoint in the bucket without digests is incomplete.
"""

import shutil
import tempfile
from pathlib import Path

import jax

from causalrep.errors import InputError
from causalrep.storage import Remote, as_path, download, remove_tree, upload
from causalrep.training.checkpoints.digests import names_of_digests


class Mirror:
    """A local scratch folder that mirrors a folder in a bucket.

    Args:
        place: The folder in the bucket.

    Attributes:
        root: The local folder, to which :meth:`pull` downloads the bucket's checkpoints.
        pushed: The steps of the bucket's complete checkpoints, as far as known.
    """

    def __init__(self, place: Remote):
        if jax.process_count() > 1:
            raise InputError(
                "folder",
                found=f"{str(place)!r} with {jax.process_count()} processes",
                expected="gs://... or a folder that all hosts see; other buckets take checkpoints of one process",
            )
        self.place, self.root = place, Path(tempfile.mkdtemp(prefix="causalrep-checkpoints-"))
        self.pushed: set[int] = set()

    def pull(self) -> None:
        """Download the complete checkpoints of the bucket."""
        for name in self._complete():
            download(self.place / "steps" / name, self.root / "steps" / name)
            download(self.place / "digests" / f"{name}.json", self.root / "digests" / f"{name}.json")
            self.pushed.add(int(name))

    def push(self) -> None:
        """Upload new local checkpoints, and delete from the bucket those that no longer exist locally.

        Raises:
            RecordsError: If the bucket does not answer or refuses.
        """
        here = {name.removesuffix(".json") for name in names_of_digests(self.root / "digests")}
        for name in sorted(here - set(self._complete()), key=int):
            try:
                upload(self.root / "steps" / name, self.place / "steps" / name)
            except FileNotFoundError:
                here.remove(name)  # it was deleted while it was copied, being no longer among those kept
                continue
            upload(self.root / "digests" / f"{name}.json", self.place / "digests" / f"{name}.json")
            self.pushed.add(int(name))
        # What has another name than a checkpoint is somebody else's, and stays.
        for name in {path.name for path in (self.place / "steps").iterdir() if path.name.isdigit()} - here:
            self._drop(name)

    def set_aside(self, step: int) -> None:
        """Move a damaged checkpoint aside in the bucket as well."""
        upload(self.root / "damaged" / str(step), self.place / "damaged" / str(step))
        self._drop(str(step))

    def close(self) -> None:
        """Delete the local folder."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _complete(self) -> list[str]:
        return [name.removesuffix(".json") for name in names_of_digests(self.place / "digests")]

    def _drop(self, name: str) -> None:
        self.pushed.discard(int(name))
        # The digests go first, so that a half-deleted checkpoint counts as incomplete.
        remove_tree(self.place / "digests" / f"{name}.json")
        remove_tree(self.place / "steps" / name)


def bucket_of(folder: Path | str) -> Remote | None:
    """The folder in a bucket if Orbax cannot write it itself; else None."""
    place = as_path(folder)
    return place if isinstance(place, Remote) and not str(place).startswith(("gs://", "gcs://")) else None
