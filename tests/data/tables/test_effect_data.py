"""Treatment-effect data: published constants and rows, canonical splits, checksums, and options that are refused."""

import gzip
import hashlib
import json
import sys

import jax
import numpy as np
import pooch
import pytest

from causalrep.data import data_folder, draw_news, load
from causalrep.data.sources.folder import find_file
from causalrep.data.sources.r_random import RRandom
from causalrep.errors import DataError, InputError
from causalrep.metrics import randomized_att

FILES = data_folder()


def load_or_skip(name, **options):
    try:
        return load(name, **options)
    except DataError as error:
        pytest.skip(f"the files of {name} are not available: {error}")


@pytest.fixture(scope="module")
def ihdp():
    return load("ihdp", replications=range(1, 1001))


def test_random_numbers_of_r():
    # Printed by R for set.seed(1); runif(3) and set.seed(570); runif(3), rnorm(3).
    np.testing.assert_allclose(RRandom(1).uniform(3), [0.26550866, 0.37212390, 0.57285336], atol=5e-9)
    np.testing.assert_allclose(RRandom(570).uniform(3), [0.53440291, 0.14930759, 0.37421509], atol=5e-9)
    np.testing.assert_allclose(RRandom(570).normal(3), [0.08634248, -0.32070998, 1.37696365], atol=5e-9)
    stream = RRandom(570)
    np.testing.assert_array_equal(np.concatenate([stream.uniform(2), stream.uniform(700)]), RRandom(570).uniform(702))


def test_ihdp_shapes_and_aggregates(ihdp):
    assert ihdp.x.shape == (747, 25)
    assert ihdp.t.sum() == 139
    assert ihdp.y.shape == ihdp.mu0.shape == ihdp.mu1.shape == (1000, 747)
    ite = ihdp.mu1 - ihdp.mu0
    ate, spread = ite.mean(1), ite.std(1)
    aggregates = [ate.mean(), ate.std(), ate.min(), ate.max(), spread.mean(), np.median(spread), spread.max()]
    np.testing.assert_allclose(aggregates, [4.3998, 1.3346, -0.604, 15.69, 5.734, 3.016, 106.85], rtol=3e-4)
    assert np.mean(spread > 1) == 0.812
    np.testing.assert_allclose([ate[:100].mean(), spread[:100].mean()], [4.5158, 5.5536], atol=5e-5)
    # omega is chosen so that the effect on the treated is 4.
    np.testing.assert_allclose(ite[:, ihdp.t == 1].mean(1), 4.0, atol=1e-10)


@pytest.mark.parametrize(
    ("number", "ate", "spread", "mean"),
    [
        (1, 4.016067, 0.859161, 3.159538),
        (2, 4.050839, 0.820675, 5.021249),
        (10, 4.586000, 8.883908, 20.833903),
        (50, 3.904750, 2.220068, 5.095823),
        (100, 4.031655, 2.458912, 10.177641),
        (500, 5.864310, 11.182954, 22.565557),
    ],
)
def test_ihdp_reference_rows(ihdp, number, ate, spread, mean):
    ite = ihdp.mu1[number - 1] - ihdp.mu0[number - 1]
    np.testing.assert_allclose([ite.mean(), ite.std(), ihdp.y[number - 1].mean()], [ate, spread, mean], atol=1e-6)


def test_ihdp_equals_the_public_files(ihdp):
    folder = FILES / "ihdp"
    if not (folder / "ihdp_npci_1-100.test.npz").is_file():
        pytest.skip("the public files of IHDP are not available")
    columns = {"yf": ihdp.y, "ycf": np.where(ihdp.t == 1, ihdp.y0, ihdp.y1), "mu0": ihdp.mu0, "mu1": ihdp.mu1}
    for number in (1, 2, 10, 50):
        public = np.loadtxt(folder / f"ihdp_npci_{number}.csv.gz", delimiter=",")
        ours = np.column_stack([ihdp.t, *(a[number - 1] for a in columns.values()), ihdp.x])
        np.testing.assert_allclose(ours, public, atol=1e-10)
    with np.load(folder / "ihdp_npci_1-100.test.npz") as archive:
        for r in range(100):
            rows = ihdp.test_rows[r]
            np.testing.assert_allclose(ihdp.x[rows], archive["x"][:, :, r], atol=1e-10)
            for name, ours in columns.items():
                np.testing.assert_allclose(ours[r, rows], archive[name][:, r], atol=1e-10)
    reference = json.loads((folder / "npci_reference.json").read_text())["replications"]
    for number, expected in reference.items():
        ite = ihdp.mu1[int(number) - 1] - ihdp.mu0[int(number) - 1]
        np.testing.assert_allclose([ite.mean(), ite.std()], [expected["ate"], expected["sd_ite"]], atol=1e-6)


def test_ihdp_replications_do_not_depend_on_the_request(ihdp):
    some = load("ihdp", replications=[700, 3])
    assert some.replications == (700, 3)
    np.testing.assert_array_equal(some.y[0], ihdp.y[699])
    np.testing.assert_array_equal(some.test_rows[1], ihdp.test_rows[2])
    sample = some.sample(1)
    np.testing.assert_array_equal(sample.mu1, ihdp.mu1[2])
    assert some.is_test(1).sum() == 75
    assert load("ihdp").replications == tuple(range(1, 101))
    assert all(len(set(rows)) == 75 for rows in ihdp.test_rows)
    assert ihdp.test_rows[0, :5].tolist() == [166, 130, 418, 451, 588]


@pytest.mark.parametrize("wrong", [[0], [1001], [], ["1"], [True]])
def test_ihdp_refuses_other_replications(wrong):
    with pytest.raises(InputError, match=r"^replications: .*expected whole numbers from 1 to 1000"):
        load("ihdp", replications=wrong)


def test_ihdp_names_the_missing_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"econml.*pip install 'causalrep\[data\]'"):
        load("ihdp")


def test_jobs(x64):
    jobs = load_or_skip("jobs")
    assert jobs.x.shape == (3212, 17)
    assert (jobs.t.sum(), jobs.randomized.sum()) == (297, 722)
    assert float(randomized_att(jobs.y, jobs.t, jobs.randomized)) == pytest.approx(0.07794, abs=5e-6)
    assert jobs.y[jobs.t == 1].mean() - jobs.y[jobs.t == 0].mean() == pytest.approx(-0.083, abs=5e-4)
    assert jobs.test_rows.shape == (10, 642)
    assert len(set(jobs.test_rows.ravel())) == 2867
    with np.load(FILES / "jobs" / "jobs_DW_bin.new.10.test.npz") as archive:
        for split, rows in enumerate(jobs.test_rows):
            np.testing.assert_array_equal(jobs.x[rows], archive["x"][:, :, split])
            np.testing.assert_array_equal(jobs.y[rows], archive["yf"][:, split])


@pytest.mark.parametrize(
    ("options", "rows", "naive"),
    [
        ({}, 445, 1794.34),
        ({"controls": "psid"}, 2675, -15204.78),
        ({"controls": "cps"}, 16177, -8497.52),
        ({"sample": "lalonde"}, 722, 886.30),
    ],
)
def test_lalonde(options, rows, naive):
    table = load_or_skip("lalonde", **options)
    assert len(table.frame) == rows
    assert table.Y[table.T == 1].mean() - table.Y[table.T == 0].mean() == pytest.approx(naive, abs=5e-3)
    assert table.X.shape[1] == (7 if options.get("sample") == "lalonde" else 8)
    assert set(table.T.unique()) == {0.0, 1.0}


def test_lalonde_by_package_equals_the_files(monkeypatch):
    packaged = load("lalonde", controls="cps")
    monkeypatch.setitem(sys.modules, "causaldata", None)
    downloaded = load_or_skip("lalonde", controls="cps")
    np.testing.assert_array_equal(packaged.frame, downloaded.frame)


def test_nhefs():
    table = load("nhefs")
    assert table.frame.shape[0] == 1566
    assert table.Y[table.T == 1].mean() - table.Y[table.T == 0].mean() == pytest.approx(2.5406, abs=5e-5)
    assert list(table.X) == list(table.covariates)


def test_twins():
    twins = load_or_skip("twins")
    assert twins.x.shape == (11984, 75)
    assert len(set(twins.covariates)) == 75
    assert (twins.y1 - twins.y0).mean() == pytest.approx(-0.02520, abs=5e-6)
    assert [twins.y0.mean(), twins.y1.mean(), twins.t.mean()] == pytest.approx([0.1894, 0.1642, 0.7457], abs=5e-5)
    assert twins.y[twins.t == 1].mean() - twins.y[twins.t == 0].mean() == pytest.approx(-0.1121, abs=5e-5)


def test_acic2016():
    acic = load_or_skip("acic2016")
    assert acic.x.shape == (4802, 79)
    assert acic.t.sum(1).tolist() == [858, 1497, 1356, 1736, 1444, 1250, 1504, 1237, 1374, 1191]
    ite = acic.mu1 - acic.mu0
    ates = [2.128, 4.679, 4.752, 4.796, 3.353, 2.928, 3.949, 1.521, 3.799, 4.223]
    np.testing.assert_allclose(ite.mean(1), ates, atol=5e-4)
    satts = [2.722, 4.679, 4.752, 4.683, 3.447, 3.010, 3.970, 1.444, 3.702, 4.969]
    np.testing.assert_allclose([i[t == 1].mean() for i, t in zip(ite, acic.t, strict=True)], satts, atol=5e-4)
    spreads = [3.978, 0, 0, 5.018, 4.531, 2.082, 5.000, 3.224, 2.246, 6.740]
    np.testing.assert_allclose(ite.std(1, ddof=1), spreads, atol=5e-4)
    naive = [y[t == 1].mean() - y[t == 0].mean() for y, t in zip(acic.y, acic.t, strict=True)]
    np.testing.assert_allclose(naive, [3.582, 5.199, 6.099, 5.941, 4.108, 5.047, 4.301, 0.896, 5.591, 4.432], atol=5e-4)
    np.testing.assert_array_equal(load("acic2016", files=[7]).y[0], acic.y[6])


def test_realcause():
    data = load_or_skip("realcause")
    ite = data.y1 - data.y0
    np.testing.assert_allclose(ite.mean(1), [-13856.4, -13811.6, -13880.0, -13422.9, -13357.2], atol=0.05)
    atts = [i[t == 1].mean() for i, t in zip(ite, data.t, strict=True)]
    np.testing.assert_allclose(atts, [871.5, 391.4, 1424.2, 2487.5, 3659.8], atol=0.05)
    np.testing.assert_array_equal(np.where(data.t == 1, data.y1, data.y0), data.y)
    assert load_or_skip("realcause", original="twins", samples=[1]).y.shape == (1, 11984)
    with pytest.raises(InputError, match=r"^samples: .*expected numbers from 0 to 1 for lalonde_cps"):
        load("realcause", original="lalonde_cps", samples=[2])
    with pytest.raises(InputError, match=r"^original: "):
        load("realcause", original="psid")


def test_the_samples_of_realcause_share_covariates():
    import pandas as pd

    load_or_skip("realcause")
    frames = [pd.read_csv(FILES / "realcause" / f"lalonde_psid_sample{i}.csv.gz") for i in (0, 4)]
    assert frames[0].iloc[:, :8].equals(frames[1].iloc[:, :8])


def test_news_follows_its_law(x64):
    sample = draw_news(jax.random.key(0), 600, words=60)
    assert sample.x.shape == (600, 60)
    totals = sample.x.sum(1)
    assert (totals >= 100).all()
    assert (totals <= 300).all()
    assert float(abs(sample.t - sample.propensity).mean()) > 0
    # Standardized residuals of the treatment have mean 0, and those of the outcome have standard deviation 1.
    residual = (sample.t - sample.propensity) / (sample.propensity * (1 - sample.propensity)) ** 0.5
    assert abs(float(residual.mean())) < 4 / 600**0.5
    noise = sample.y - (sample.mu0 + sample.t * (sample.mu1 - sample.mu0))
    assert float(noise.std()) == pytest.approx(1.0, abs=0.07)
    assert float((draw_news(jax.random.key(0), 600, words=60, selection=0.0).propensity).std()) == 0.0


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(InputError, match=r"^replicatons: .*'ihdp' does not have.*replications"):
        load("ihdp", replicatons=[1])
    with pytest.raises(InputError, match=r"^files: .*expected none"):
        load("card", files=[1])
    with pytest.raises(InputError, match=r"^index: found 1; expected 0 to 0"):
        load("ihdp", replications=[5]).sample(1)


def test_a_compressed_copy_is_accepted_and_checked(empty_home, tmp_path, monkeypatch):
    monkeypatch.setenv("CAUSALREP_DATA", str(tmp_path))
    monkeypatch.setattr(pooch, "retrieve", lambda *a, **k: (_ for _ in ()).throw(OSError("no route to host")))
    (tmp_path / "toy").mkdir()
    path = tmp_path / "toy" / "table.csv.gz"
    asked = {"sha256": hashlib.sha256(b"a,b\n1,2\n").hexdigest(), "base_url": "https://example.org/"}
    with pytest.raises(DataError, match="could it be downloaded"):
        find_file("toy", "table.csv", **asked)
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert find_file("toy", "table.csv", **asked) == path
    for wrong in (gzip.compress(b"a,b\n1,3\n"), gzip.compress(b"a,b\n1,2\n")[:-4], b"a,b\n1,2\n"):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match="is corrupt"):
            find_file("toy", "table.csv", **asked)
