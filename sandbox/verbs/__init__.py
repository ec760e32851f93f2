"""Everything a box can do, one function per verb; a long verb is a generator of progress events.

CLI and TUI render the events and the result; neither holds logic. Verbs import the SDK and web3 when they
run, because the command line's help must not wait for them.
"""
