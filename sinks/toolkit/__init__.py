"""Parts that platforms share: desired state, HTTP, rate limits, list ids, options."""
