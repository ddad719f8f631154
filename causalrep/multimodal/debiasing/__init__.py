"""Removing confounders of two modalities by causal information minimization.

Each of ``te_d.py``, ``ate_d.py`` and ``unimodal.py`` holds a method and its class. They share the classifier of
``two_streams.py`` and the abstract base in ``base.py``.
"""
