"""Crawling: what a source's pages or files say, as items. Knows nothing of the database."""
