"""Reference methods of causal representation learning: from interventions, from segments, and from neither."""
