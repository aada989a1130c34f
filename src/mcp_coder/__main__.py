"""``python -m mcp_coder`` is ``mcp-coder``."""

from mcp_coder.cli.main import main

if __name__ == "__main__":
    main()
