"""Where trials run: the contract in base.py, then one engine a file."""
