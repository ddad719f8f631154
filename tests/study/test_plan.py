import dataclasses

import jax
import numpy as np
import pytest

from causalrep.errors import InputError
from causalrep.study import Holds, Study, grid, run
from causalrep.study.plan import canonical_json


def _key(study, index):
    return jax.random.key_data(study.cell_key(index)).tolist()


def test_keys_depend_on_values_alone(location_study):
    study = location_study()
    # Common random numbers across mu, which is shared; other numbers for another n.
    assert _key(study, 0) == _key(study, 1) != _key(study, 3)
    assert len({str(_key(location_study(shared=()), i)) for i in range(6)}) == 6
    # Neither the order of cells, nor how a number is spelled, nor the order of fields matters.
    reverse = location_study(settings=tuple(reversed(study.settings)))
    assert _key(reverse, 5) == _key(study, 0)
    spelled = location_study(settings=[{"sd": np.float32(1), "n": np.int64(20), "mu": 0}])
    assert _key(spelled, 0) == _key(study, 0)
    assert _key(location_study(seed=1), 0) != _key(study, 0)
    assert location_study(seed=np.int64(1), replications=np.int64(3)).identity()["seed"] == 1
    assert location_study(seed=np.int64(1)).digest() == location_study(seed=1).digest()
    assert _key(location_study(name="demo/other"), 0) != _key(study, 0)


def test_numpy_s_scalars_are_python_s(location_study, tmp_path):
    study, plain = location_study(seed=5, replications=3), {"progress": False, "chunk": 2}
    numpy = location_study(
        seed=np.int64(5), replications=np.int32(3), compiled=np.True_, traced=np.array(["mu", "sd"]).tolist()
    )
    assert (numpy.digest(), _key(numpy, 0)) == (study.digest(), _key(study, 0))
    records = run(numpy, tmp_path, progress=False, chunk=np.int64(2))
    assert run(study, **plain).frame.equals(records.frame)
    assert not run(numpy, tmp_path, progress=False).computed
    with pytest.raises(InputError, match=r"seed: found 1\.5; expected a whole number"):
        location_study(seed=1.5)


def test_digest_names_what_the_numbers_depend_on(location_study):
    study = location_study()
    same = location_study(claims=(Holds("x", lambda frame: (None, "")),))
    assert study.digest() == same.digest()
    changes = [
        {"seed": 1},
        {"replications": 3},
        {"precision": "float32"},
        {"config": {"n": 1}},
        {"shared": ()},
    ]
    assert len({location_study(**change).digest() for change in changes} | {study.digest()}) == 6
    assert location_study(config={"n": 1}).digest() == location_study(config={"n": 1.0}).digest()


def test_canonical_json_is_by_value():
    assert canonical_json({"a": 1.0, "b": (True, "x")}) == canonical_json({"b": [True, "x"], "a": np.int32(1)})
    assert canonical_json(True) != canonical_json(1)
    assert canonical_json(0.1) != canonical_json(0.1 + 1e-12)


def _metrics(key, setting):
    return {}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "../up"}, "name"),
        ({"replications": 0}, "replications"),
        ({"replications": True}, "replications"),
        ({"settings": []}, "settings"),
        ({"settings": [{"a": 1}, {"b": 1}]}, r"settings\[1\]"),
        ({"settings": [{"a": 1}, {"a": 1.0}]}, r"settings\[1\].*repetition"),
        ({"settings": [{"a": 1}, {"a": "x"}]}, "settings"),
        ({"settings": [{"a": None}]}, "settings"),
        ({"settings": [{"method": 1}]}, "settings"),
        ({"traced": ("b",)}, "traced"),
        ({"shared": ("b",)}, "shared"),
        ({"traced": "a"}, "traced"),
        ({"settings": [{"a": "x"}], "traced": ("a",)}, "traced"),
        ({"precision": "float16"}, "precision"),
    ],
)
def test_a_wrong_study_is_refused(change, named):
    right = Study("demo/x", _metrics, [{"a": 1}, {"a": 2}], 3)
    with pytest.raises(InputError, match=named):
        dataclasses.replace(right, **change)


def test_grid_runs_the_last_field_fastest():
    assert [row["b"] for row in grid(a=[1, 2], b=["x", "y"])] == ["x", "y", "x", "y"]
    assert grid() == [{}]
