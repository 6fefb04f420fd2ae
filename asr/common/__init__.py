"""What every layer uses: errors, progress, files, seeds, processes."""
