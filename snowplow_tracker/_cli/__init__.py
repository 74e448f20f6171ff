"""The command line: `main` knows the commands, each command is a module of its own."""
