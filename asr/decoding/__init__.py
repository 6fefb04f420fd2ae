"""Decoding: from CTC log-probabilities to n-best lists of hypotheses."""
