"""This library beside what a user would pick instead, in one run on one machine, as ratios.

``make benchmarks`` pins one thread on both sides and writes ``docs/benchmarks.md``.
"""
