"""Starting an experiment on several processes: here, on a TPU pod, on GKE, under Slurm."""
