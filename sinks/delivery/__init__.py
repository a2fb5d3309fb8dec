"""One delivery loop an account: plan, ledger, retries, account state, outcomes."""
