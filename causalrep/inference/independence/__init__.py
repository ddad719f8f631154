"""Tests of (conditional) independence: kernel tests and tests of contingency tables."""
