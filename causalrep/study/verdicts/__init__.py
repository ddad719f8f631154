"""Verdicts on records: claims that can fail, and the reported numbers to compare with."""
