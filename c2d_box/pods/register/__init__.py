"""Making a job's results an asset of their owner's: NFT, datatoken and description on the chain.

It holds the one key that mints and nothing else: no file, no address of one, no credential of a store.
"""
