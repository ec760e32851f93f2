"""HTTP in and out: each module translates one group of endpoints to the rules beside this package."""
