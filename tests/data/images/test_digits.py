"""Digits and their colors: sources and checksums, the confounding, and the augmentation under both protocols."""

import gzip

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

from causalrep.data import color_digits, jitter_translate, load
from causalrep.data.images import mnist
from causalrep.data.images.colored_digits import turn_hue
from causalrep.errors import DataError, InputError


@pytest.fixture(scope="module")
def digits():
    try:
        return load("mnist")
    except DataError as error:
        pytest.skip(f"no digits are available: {error}")


def fake(n=6000):
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.integers(1, 256, (n, 28, 28)), jnp.uint8), jnp.asarray(rng.integers(0, 10, n))


def test_source_is_named_and_split(digits):
    assert digits.source
    assert digits.images.shape[1:] == (28, 28)
    assert digits.images.dtype == np.uint8
    assert set(np.unique(digits.labels)) == set(range(10)) == set(np.unique(digits.test_labels))
    assert len(digits.images) == len(digits.labels) >= 4 * len(digits.test_labels) - 5


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CAUSALREP_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"mnist_10k\.npz does not exist"):
        load("mnist", source="mnist-10k")
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "mnist_10k.npz").write_bytes(b"not digits")
    with pytest.raises(DataError, match="corrupt"):
        load("mnist", source="mnist-10k")
    with pytest.raises(InputError, match="source"):
        load("mnist", source="emnist")


def test_idx_files(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    header = b"\x00\x00\x08\x03" + np.array(values.shape, ">i4").tobytes()
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(header + values.tobytes()))
    np.testing.assert_array_equal(mnist.read_idx(path), values)
    path.write_bytes(gzip.compress(header + values.tobytes()[:-1]))
    with pytest.raises(DataError, match="23 bytes"):
        mnist.read_idx(path)
    path.write_bytes(gzip.compress(b"\x00\x00\x0d\x03"))
    with pytest.raises(DataError, match="not an IDX"):
        mnist.read_idx(path)


@pytest.mark.parametrize(("protocol", "flip"), [("repo", 0.1 / 3 + 0.4 / 3), ("paper", 0.15)])
def test_color_predicts_the_outcome_better_than_the_digit(protocol, flip):
    images, labels = fake()
    colored = color_digits(jax.random.key(0), images, labels, protocol=protocol)
    positive = np.asarray(labels) < 5 if protocol == "repo" else np.asarray(labels) >= 5
    np.testing.assert_array_equal(colored.label, positive)
    assert np.mean(colored.label != colored.y) == pytest.approx(0.25, abs=0.02)
    assert np.mean(colored.color != colored.y) == pytest.approx(flip, abs=0.02)
    assert colored.x.shape == (6000, 3, 14, 14)
    assert float(colored.x.min()) >= 0
    assert float(colored.x.max()) <= 1
    shown = np.asarray(colored.x.sum(axis=(2, 3)) > 0)
    np.testing.assert_array_equal(shown, np.stack([colored.color == 0, colored.color == 1, np.zeros(6000, bool)], 1))


def test_test_colors_are_independent_of_the_outcome():
    images, labels = fake()
    colored = color_digits(jax.random.key(1), images, labels, flip=0.5)
    assert np.mean(colored.color == colored.y) == pytest.approx(0.5, abs=0.03)


def test_hue_agrees_with_matplotlib():
    rng = np.random.default_rng(0)
    x = rng.random((5, 3, 4, 4))
    x[0] = 0.3  # gray
    turn = rng.uniform(-0.5, 0.5, (5, 1, 1))
    hsv = rgb_to_hsv(np.moveaxis(x, 1, -1))
    hsv[..., 0] = np.mod(hsv[..., 0] + turn, 1.0)
    turned = turn_hue(jnp.asarray(x), jnp.asarray(turn))
    np.testing.assert_allclose(np.moveaxis(np.asarray(turned), 1, -1), hsv_to_rgb(hsv), atol=1e-5)


def test_paper_protocol_keeps_the_image_and_standardizes_g():
    images, labels = fake(4000)
    x = color_digits(jax.random.key(0), images, labels).x
    augmented = jitter_translate(jax.random.key(1), x, protocol="paper")
    np.testing.assert_allclose(np.mean(augmented.g, axis=0), 0, atol=0.08)
    np.testing.assert_allclose(np.std(augmented.g, axis=0), 1, atol=0.05)
    assert np.mean(np.asarray(augmented.gx).sum((1, 2, 3)) == 0) == 0
    assert float(augmented.gx.max()) <= 1


def test_repo_protocol_blanks_most_images_as_the_released_code_does():
    images, labels = fake(4000)
    x = color_digits(jax.random.key(0), images, labels).x
    augmented = jitter_translate(jax.random.key(1), x, protocol="repo")
    assert np.mean(np.asarray(augmented.gx).sum((1, 2, 3)) == 0) == pytest.approx(0.72, abs=0.03)
    np.testing.assert_allclose(np.std(augmented.g, axis=0)[4:], [14.5, 203], rtol=0.05)


def test_translation_moves_whole_pixels():
    images, labels = fake(200)
    x = color_digits(jax.random.key(0), images, labels).x
    augmented = jitter_translate(jax.random.key(3), x, protocol="paper")
    size = 14
    columns = np.round(np.asarray(augmented.g[:, 4]) * 0.05**0.5 * 0.4 * size).astype(int)
    lit = np.asarray(augmented.gx).sum((1, 2)) > 0  # columns with light (n, 14)
    for shift, row in zip(columns, lit, strict=True):
        empty = np.flatnonzero(~row)
        expected = np.arange(shift) if shift > 0 else np.arange(size + shift, size)
        np.testing.assert_array_equal(empty, expected)


def test_small_digits_come_with_scikit_learn():
    digits = load("small_digits")
    assert digits.images.shape == (1438, 8, 8)
    assert digits.test_images.shape == (359, 8, 8)
    assert digits.images.max() == 16
    assert set(digits.labels) == set(digits.test_labels) == set(range(10))
