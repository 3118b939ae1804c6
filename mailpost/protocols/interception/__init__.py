"""What stands between a connection and its session: audits, rate limits, rewriting, faults on purpose."""
