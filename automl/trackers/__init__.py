"""Readers that show the ledger to people. The only door to MLflow."""
