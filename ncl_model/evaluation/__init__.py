"""Figures of a model on labelled photographs, as numbers, tables and pictures."""
