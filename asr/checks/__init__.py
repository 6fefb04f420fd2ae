"""Checks of a corpus: of its files and transcripts alone, and with a trained model."""
