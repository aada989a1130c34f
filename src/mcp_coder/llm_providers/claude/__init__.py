"""Claude Code: how it is called, read, judged and found."""
