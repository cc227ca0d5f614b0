"""Pages for people, one blueprint a file, rendered on the server; scripts only add what happens between reloads."""
