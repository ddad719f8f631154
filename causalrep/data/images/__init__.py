"""Image data sets, and transformed images whose transformation is known."""
