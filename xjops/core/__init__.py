"""What every layer may use: errors, paths, waiting, external commands."""
