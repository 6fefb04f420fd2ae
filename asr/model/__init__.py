"""Recurrent layers, convolutional subsampling, the acoustic model and the model folder."""
