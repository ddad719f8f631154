"""Checkpoints in buckets that Orbax cannot write: a local folder whose complete checkpoints are copied there.

Orbax writes local folders and ``gs://``. For ``s3://`` and every other place that fsspec knows, a checkpoint is written
to local scratch and then uploaded, its digests last: in the bucket, a checkpoint without digests does not count.
"""

import shutil
import tempfile
from pathlib import Path

import jax

from causalrep.errors import InputError
from causalrep.storage import Remote, as_path, download, remove_tree, upload


class Mirror:
    """Local scratch, and the place in a bucket that it is a copy of.

    Args:
        place: The bucket's folder.

    Attributes:
        root: The local folder, with the checkpoints found in the bucket.
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
        try:
            self.pull()
        except BaseException:
            self.close()
            raise

    def pull(self) -> None:
        """Bring the bucket's complete checkpoints here."""
        for name in self._complete():
            download(self.place / "steps" / name, self.root / "steps" / name)
            download(self.place / "digests" / f"{name}.json", self.root / "digests" / f"{name}.json")
            self.pushed.add(int(name))

    def push(self) -> None:
        """Upload checkpoints that are new here and drop from the bucket those that are gone.

        Raises:
            RecordsError: If the bucket does not answer or refuses.
        """
        here = {path.stem for path in (self.root / "digests").glob("*.json")}
        for name in sorted(here - set(self._complete()), key=int):
            try:
                upload(self.root / "steps" / name, self.place / "steps" / name)
            except FileNotFoundError:
                here.remove(name)  # no longer among those kept: deleted while it was copied
                continue
            upload(self.root / "digests" / f"{name}.json", self.place / "digests" / f"{name}.json")
            self.pushed.add(int(name))
        for name in {path.name for path in (self.place / "steps").iterdir()} - here:
            self._drop(name)

    def set_aside(self, step: int) -> None:
        """Move a damaged checkpoint out of the way in the bucket as well."""
        upload(self.root / "damaged" / str(step), self.place / "damaged" / str(step))
        self._drop(str(step))

    def close(self) -> None:
        """Drop the local scratch."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _complete(self) -> list[str]:
        return [path.name.removesuffix(".json") for path in (self.place / "digests").iterdir()]

    def _drop(self, name: str) -> None:
        self.pushed.discard(int(name))
        # The digests first: what is left half deleted does not count.
        remove_tree(self.place / "digests" / f"{name}.json")
        remove_tree(self.place / "steps" / name)


def bucket_of(folder: Path | str) -> Remote | None:
    """The bucket's folder, if it is one that Orbax cannot write itself."""
    place = as_path(folder)
    return place if isinstance(place, Remote) and not str(place).startswith(("gs://", "gcs://")) else None
