"""Corpora written for other toolkits."""
