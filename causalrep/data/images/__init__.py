"""Image data sets, and images with a known transformation."""
