"""Tools around experiments: compiling for other chips, float32 comparisons, pages."""
