"""Language models: estimated from text, kept in folders, scored."""
