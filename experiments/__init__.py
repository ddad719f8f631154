"""The papers: which data, methods, settings and metrics, with their command lines."""
