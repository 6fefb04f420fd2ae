"""One file a verb: each takes the configuration, calls the parts and prints the outcome."""
