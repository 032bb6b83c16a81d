"""Processes that a test interrupts."""

HEEDING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""Begins a program that Ctrl-C ends: a shell's background jobs, and so tests in one, are started with it ignored."""
