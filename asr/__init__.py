"""Speech recognition with recurrent networks and CTC: recipes, training, evaluation."""
