"""Labelled photographs: sources, checks, PACKs, groups, and manipulations made by program."""
