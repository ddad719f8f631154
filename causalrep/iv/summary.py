"""The printed result of an estimator, shared by all rooms."""

from causalrep.base.summary import Summary

__all__ = ["Summary"]
