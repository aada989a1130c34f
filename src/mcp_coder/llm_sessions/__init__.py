"""The whole turn: the bare turn of an agent, recorded."""
