"""Turns in agents that live already: our sessions, pools and streams beside the SDK's own client."""
