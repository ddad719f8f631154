"""A temporary home folder, so that tests neither read nor change the user's data and prepared copies."""

import pytest


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    """An empty home folder, with ``CAUSALREP_DATA`` unset."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("CAUSALREP_DATA", raising=False)
    return home
