"""From a folder to a folder: recordings sent to a service, and faces fetched from it."""
