"""The command line. Each module holds the commands of one kind; `app` puts them together."""
