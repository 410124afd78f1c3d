"""Telling people and hearing back: outbox, cards, channels, actions, desk."""
