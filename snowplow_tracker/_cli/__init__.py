"""The command line: `main` runs the commands; each command is a module."""
