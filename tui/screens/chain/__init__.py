"""The chain screen: transactions and blocks, decoded. Reading only; whatever is signed is signed on other
screens."""
