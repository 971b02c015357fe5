"""What receivers are told of jobs: an outbox in SQL, signed posts, and the rules for addresses."""
