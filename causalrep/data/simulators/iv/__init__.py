"""Simulators with instruments, and with symmetries that replace instruments."""
