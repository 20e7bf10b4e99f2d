//! How things really run: processes, PostgreSQL, RabbitMQ, containers, probes, logs, leases.
