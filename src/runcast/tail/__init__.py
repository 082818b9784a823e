"""Log files that others write: finding them, following them, telling how they ended."""
