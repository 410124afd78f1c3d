"""One small file per channel; a file's name is its ``kind``."""
