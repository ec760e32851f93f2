"""Verbs that show what the box stands on: blocks, pods, content by CID."""
