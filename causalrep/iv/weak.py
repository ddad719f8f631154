"""Inference that stays valid when instruments are weak: tests, and the confidence sets that invert them."""

from causalrep.iv.weak_sets import anderson_rubin_set
from causalrep.iv.weak_tests import anderson_rubin_test, clr_test, lm_test, lr_test

__all__ = ["anderson_rubin_set", "anderson_rubin_test", "clr_test", "lm_test", "lr_test"]
