"""The input stage: fetches what the job was granted, from the Provider and from nowhere else.

``layout`` says what goes where, ``fetching`` gets it, ``__main__`` does the one with the other and reports.
"""
