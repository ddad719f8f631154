"""The optical device: shapes and values of the data, and files that are refused."""

import shutil
from urllib.parse import quote

import numpy as np
import pooch
import pytest

from causalrep.data import data_folder, load
from causalrep.data.images.optical_device import BASE_URL, file_name
from causalrep.errors import DataError


@pytest.fixture(scope="module")
def device():
    try:
        return load("optical_device")
    except DataError as error:
        pytest.skip(f"the files of the optical device are not available: {error}")


# The folder of the files, before a test changes the environment.
FILES = data_folder() / "optical_device"


def no_network(*args, **kwargs):
    raise OSError("no route to host")


def test_shape_and_first_row(device):
    assert device.experiments == (69, 70, 71, 72, 73, 74, 75, 77, 78, 79, 80, 82)
    assert device.pixels.shape == (12, 1000, 9)
    assert device.confounder.shape == device.outcome.shape == (12, 1000)
    assert device.pixels[0, 0].tolist() == [7, 58, 20, 34, 169, 56, 16, 243, 48]
    assert (device.confounder[0, 0], device.outcome[0, 0]) == (74, 26)


def test_the_confounder_affects_the_outcome(device):
    # By construction the LED affects the photodiode in every experiment with confounding.
    strongest = device.experiments.index(80)
    correlation = np.corrcoef(device.confounder[strongest], device.outcome[strongest])[0, 1]
    assert abs(correlation) > 0.5


def test_a_missing_file_without_network_says_what_to_do(empty_home, tmp_path, monkeypatch):
    monkeypatch.setenv("CAUSALREP_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pooch, "retrieve", no_network)
    with pytest.raises(DataError) as raised:
        load("optical_device")
    message = str(raised.value)
    assert file_name(69) in message
    assert BASE_URL + quote(file_name(69)) in message
    assert str(tmp_path / "data" / "optical_device") in message
    assert "CAUSALREP_DATA" in message


def test_a_failed_preparation_is_repeated(device, empty_home, tmp_path, monkeypatch):
    """A failed preparation leaves nothing behind: the same call succeeds once the files are present."""
    if not all((FILES / file_name(number)).is_file() for number in device.experiments):
        pytest.skip(f"a prepared copy of the optical device is available, but its files are not in {FILES}")
    monkeypatch.setattr(pooch, "retrieve", no_network)
    monkeypatch.setenv("CAUSALREP_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError):
        load("optical_device")
    shutil.copytree(FILES, tmp_path / "data" / "optical_device")
    np.testing.assert_array_equal(load("optical_device").pixels, device.pixels)


def test_a_corrupt_file_is_refused(empty_home, tmp_path, monkeypatch):
    folder = tmp_path / "data" / "optical_device"
    folder.mkdir(parents=True)
    (folder / file_name(69)).write_text("1 2 3\n")
    monkeypatch.setenv("CAUSALREP_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pooch, "retrieve", no_network)
    with pytest.raises(DataError, match="is corrupt") as raised:
        load("optical_device")
    assert str(folder / file_name(69)) in str(raised.value)


def test_the_data_folder_follows_the_environment(empty_home, monkeypatch):
    assert data_folder() == empty_home / ".cache" / "causalrep"
    monkeypatch.setenv("CAUSALREP_DATA", "~/elsewhere")
    assert data_folder() == empty_home / "elsewhere"
