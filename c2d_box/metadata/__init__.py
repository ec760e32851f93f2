"""The metadata cache: what is published on the chain, decrypted, checked, decorated and searchable over HTTP.

Its routes are those of the Ocean v4 generation's Aquarius that clients use. The chain is the truth: every
record can be made again from it, and is taken back when the chain takes a block back.
"""
