"""The box's chain: a JSON-RPC server over py-evm that behaves like the node Ocean developers know from
barge.

Chain id 8996, the well-known mnemonic with its accounts unlocked, one block per transaction, a gas price of
one wei, and Ocean's contracts at addresses that are always the same. Unlike eth-tester it keeps an index of
its own (logs by address, topic and block), survives ``kill -9``, and speaks the execution API's encodings.
"""
