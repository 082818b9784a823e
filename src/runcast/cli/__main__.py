"""Lets `python -m runcast.cli` be the command line."""

from runcast.cli.main import main

main()
