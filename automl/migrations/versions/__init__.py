"""One file a schema: what it changes in the tables of the one before. What was released stays as it is."""
