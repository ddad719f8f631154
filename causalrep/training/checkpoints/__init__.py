"""Checkpoints of long fits: their store, digests and mirrors."""
