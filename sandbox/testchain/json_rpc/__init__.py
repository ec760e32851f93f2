"""JSON-RPC: requests, methods, errors and objects as the execution API spells them."""
