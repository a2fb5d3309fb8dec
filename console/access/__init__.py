"""Who may see what: users and their roles, sessions, the table of pages, and the gate before each page."""
