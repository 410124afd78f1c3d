"""One small file per connector; a file's name is its ``kind``."""
