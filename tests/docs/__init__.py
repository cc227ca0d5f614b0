"""What is written for people: its links lead somewhere, its pictures and diagrams are what the code is."""
