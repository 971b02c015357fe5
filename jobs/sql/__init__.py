"""SQL: tables, rows, engines and transactions, changes of state, migrations."""
