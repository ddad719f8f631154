"""The simulations that methods of causal representation learning are judged on."""
