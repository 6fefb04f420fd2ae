"""Reviewing runs: training diagnostics, recognition errors and comparisons of runs, as a page and as text."""
