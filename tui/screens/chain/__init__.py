"""The chain screen: transactions and blocks, decoded."""
