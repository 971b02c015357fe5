"""How the whole of it goes, for those who run it."""
