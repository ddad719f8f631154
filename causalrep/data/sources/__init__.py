"""Where data come from: the data folder, installed packages, TensorFlow Datasets and R's random numbers."""
