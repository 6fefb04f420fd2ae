"""Normalization of transcripts, tokenizers, lexicons and pronunciation."""
