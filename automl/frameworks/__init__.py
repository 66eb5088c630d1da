"""What trains: the contract in base.py, then one framework a file."""
