"""Corpora in the formats of other toolkits, read and written."""
