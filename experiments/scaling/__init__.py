"""Experiments about scaling: the same program on one device, on many devices and on several hosts."""
