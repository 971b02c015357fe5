"""Jobs in SQL: submitted, prepared, looked at, asked to pause or to end, tried again."""
