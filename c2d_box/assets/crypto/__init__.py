"""Signatures, encryption and salted hashes, in the byte layouts that Ocean's clients expect."""
