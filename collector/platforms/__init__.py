"""How the email platforms' webhooks speak and sign: a file each, named in the registry."""
