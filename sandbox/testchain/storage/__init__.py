"""The chain's SQLite file: state trie, and the index of blocks, transactions and logs."""
