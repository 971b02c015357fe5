"""Schedules: when something is due, made into ticks, each once, by whoever sees it first."""
