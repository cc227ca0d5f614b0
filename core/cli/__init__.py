"""The command line: entry points, one file a command. What they do lives in `core`; here it is asked for and shown."""
