"""What the doctor looks for: in files, in sound, in transcripts, and between utterances."""
