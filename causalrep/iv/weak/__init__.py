"""Inference that stays valid when instruments are weak: tests, and the confidence sets that invert them.

Which one to use:

- Just identified (as many instruments as endogenous regressors): the Anderson-Rubin set, efficient there.
- Overidentified: the CLR set, nearly optimal under homoskedasticity, never empty, as short as Wald's interval
  when the instruments are strong. Anderson-Rubin wastes power on the overidentifying restrictions; LM loses
  it in places and leaves a spurious second piece; LR is valid for strong instruments alone.
- Heteroskedastic or clustered data: pass ``covariance="HC1"`` or ``"cluster"``; a set that assumes
  homoskedasticity is then no better than a Wald interval with the wrong standard error.
- Several treatments: ``treatment=`` gives a set for one of them, the others profiled out.

All need valid (exogenous, excluded) instruments. An empty Anderson-Rubin set is evidence against that; the
other sets are never empty and give no such warning. An unbounded set is an answer: the data do not bound the
coefficient. With few clusters (below about 30) the clustered sets are too short.

The functions here take the user's data as the estimators do: ``(Y, T, X=None, *, Z, ...)``, with a constant added
to the controls unless ``fit_intercept=False``.

References: Andrews, Stock and Sun (2019), Annual Review of Economics 11; Mikusheva (2010), Journal of
Econometrics 157; and those of :mod:`causalrep.iv.weak.statistics`.
"""

from causalrep.iv.weak.hypotheses import anderson_rubin_test, clr_test, lm_test, lr_test
from causalrep.iv.weak.sets import anderson_rubin_set, clr_set, lm_set, lr_set

__all__ = [
    "anderson_rubin_set",
    "anderson_rubin_test",
    "clr_set",
    "clr_test",
    "lm_set",
    "lm_test",
    "lr_set",
    "lr_test",
]
