"""From CTC log-probabilities to hypotheses."""
