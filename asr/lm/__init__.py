"""Language models: n-gram and recurrent, estimated from text, kept in folders, used to score text."""
