"""The command line, ``mcp-coder``: one small file a command, and what they share.

``main`` is the way in. A command reads its options, calls the library and hands records to ``render``, which is pure;
``console`` is what writes them. Every failure ends in ``failures``, every exit code is in ``exit_codes``. Nothing heavy
is imported before a command needs it: ``mcp-coder --version`` loads click and nothing more.
"""
