"""Shards: the audio of a corpus in tar files, read by byte ranges from a disk or from a server."""
