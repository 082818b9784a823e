"""The numbers: runcast under load, beside what people would use instead, in one run."""
