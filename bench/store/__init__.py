"""What the store costs: turns written and read back, on a fixed corpus, beside plain SQLite."""
