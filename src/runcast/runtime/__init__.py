"""What happens while the server runs: logs, ingest, queue, recovery."""
