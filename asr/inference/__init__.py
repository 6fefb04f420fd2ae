"""A trained model at work: the recognizer, one pass over a split, transcription, alignment, streaming, ensembles."""
