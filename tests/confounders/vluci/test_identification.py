"""The identification report on made-up fits: when it accepts an estimate, and why it does not."""

import numpy as np
import pytest

from causalrep.confounders.vluci.identification import FamilyFit, IdentificationReport

NOISE = np.random.default_rng(0).normal(size=400)


def _family(latent="two_point", *, dim=1, form="affine", ate=2.0, level=0.0, kl=0.69, separation=5.0):
    held_out = level + NOISE + (0.1 * np.roll(NOISE, 7) if latent == "gaussian" else 0.0)
    return FamilyFit(latent, dim, form, ate, held_out, (kl,) * dim, separation)


def _report(chosen, *others, without=5.0):
    return IdentificationReport(chosen, others, without, 5.5)


def test_a_separated_mixture_that_the_rows_prefer_is_one_answer():
    report = _report(_family(), _family("gaussian", ate=4.0, level=-0.2))
    assert report.identified
    assert report.plausible_range == (2.0, 2.0)
    assert report.ate_range == (2.0, 4.0)
    np.testing.assert_allclose(report.share_due_to_u, 3 / 3.5)
    assert "Identified only by finite mixture" in str(report)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (_report(_family(separation=1.0), _family("gaussian", level=-0.2)), "overlap"),
        (_report(_family(separation=float("nan")), _family("gaussian", level=-0.2)), "overlap"),
        (_report(_family(), _family("gaussian", ate=4.0)), "do not distinguish these laws of U"),
        (_report(_family(), _family("gaussian", level=0.2)), "reject this law"),
        (_report(_family()), "range is not known"),
        (_report(_family("gaussian"), _family(level=-0.2)), "functional form"),
        (_report(_family(form="free"), _family("gaussian", level=-0.2)), "functional form"),
        (_report(_family(kl=0.001), _family("gaussian", level=-0.2)), "not used"),
    ],
)
def test_any_doubt_is_said(report, reason):
    assert not report.identified
    assert any(reason in flag for flag in report.flags), report.flags
    assert "NOT identified" in str(report)


def test_rejection_is_paired():
    """A gap far below the spread of the rows is seen, since both laws are judged on the same rows."""
    assert len(_report(_family(), _family("gaussian", level=-0.03)).plausible) == 1
    assert len(_report(_family(), _family("gaussian", level=-0.001)).plausible) == 2
