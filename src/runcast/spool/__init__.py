"""The run folder on disk and the spool format. Standard library only: the runner uses it."""
