"""Recurrent layers on CPUs by a small C++ kernel, compiled where it runs."""
