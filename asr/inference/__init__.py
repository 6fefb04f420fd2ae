"""Using a trained model: recognizer, one pass over a split, transcription, alignment, streaming, ensembles, tuning."""
