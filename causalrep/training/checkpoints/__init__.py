"""Checkpoints of long fits: the store, digests of the files, and copies in buckets."""
