"""A home folder of the test's own: neither the user's data nor prepared copies are seen or touched."""

import pytest


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    """An empty home folder, and no data folder."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("CAUSALREP_DATA", raising=False)
    return home
