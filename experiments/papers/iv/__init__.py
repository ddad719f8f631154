"""Instrumental variables: textbook data, weak instruments, and the designs of the nonlinear methods' papers."""
