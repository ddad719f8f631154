"""Starts an experiment on several processes: on this machine, on a TPU pod, on GKE or under Slurm."""
