"""Assets as values: DIDs, DDOs, files, credentials, permissions. Pure rules, no I/O, no web3."""
