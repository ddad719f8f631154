"""Tools for experiments: compile for other chips, compare float32 with float64, write tables into pages."""
