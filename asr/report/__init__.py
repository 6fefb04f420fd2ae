"""Reviewing runs: what went wrong in a training, what a model gets wrong, and what is better; as a page and as text."""
