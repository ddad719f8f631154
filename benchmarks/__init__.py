"""Compares the speed of this library with what a user would otherwise choose, as ratios from one run on one machine.

``make benchmarks`` gives both sides one thread and writes ``docs/measurements/benchmarks.md``.
"""
