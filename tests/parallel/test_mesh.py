import jax
import pytest

from causalrep.errors import InputError
from causalrep.training import make_mesh


def test_axes_share_the_devices():
    assert dict(make_mesh().shape) == {"replica": 8, "data": 1}
    assert dict(make_mesh(data=4).shape) == {"replica": 2, "data": 4}
    assert dict(make_mesh(replica=2).shape) == {"replica": 2, "data": 4}
    assert dict(make_mesh(devices=jax.devices()[:1]).shape) == {"replica": 1, "data": 1}


@pytest.mark.parametrize("sizes", [{"replica": 3}, {"data": 0}, {"replica": 2, "data": 2}])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(InputError, match=r"8"):
        make_mesh(**sizes)
