"""The database: its tables, how it is opened, read and written, and how its tables change."""
