"""Mail on its way to other servers: a durable queue, the smarthost that takes it, and what its sender is told."""
