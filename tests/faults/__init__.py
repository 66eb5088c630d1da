"""Kills every part of a search at seeded random moments, then judges what is left from the outside."""
