"""Other projects that keep sessions, measured by their own code, each in an environment of its own."""
