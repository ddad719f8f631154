"""Simulators with instruments, and with symmetries that act like instruments."""
