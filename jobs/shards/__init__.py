"""The queue of shards in SQL: claimed in turns, kept alive, finished and counted in one transaction."""
