"""The flow for one machine: inspect, plan, apply, verify, rollback, recover."""
