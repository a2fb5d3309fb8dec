"""What a backup is made of: the archive's form, the home's files, the log's records."""
