"""Figures, charts and mails made from the store."""
