"""One file a platform, one delivery loop, one registry: commands become calls, calls become outcomes."""
