"""Corpora of the user's own, in the formats that other toolkits write."""
