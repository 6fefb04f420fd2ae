"""Word and character error rates, alignments and confidence intervals."""
