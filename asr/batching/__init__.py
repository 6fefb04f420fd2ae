"""From utterances and features to the micro-batches of each rank: the dataset, the batch plan, the loader."""
