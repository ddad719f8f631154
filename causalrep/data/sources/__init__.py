"""Where data come from: the data folder, TensorFlow Datasets, R's random numbers."""
