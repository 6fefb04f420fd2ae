"""What every layer uses: errors, files, processes, progress, seeds, tables, optional libraries."""
