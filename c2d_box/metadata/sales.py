"""Finds the datatokens whose price an event of an exchange or a dispenser may have changed.

A price stands in the served record, so the record has to be made anew after such an event.
"""

from __future__ import annotations

from c2d_box.assets.addresses import same_hex
from c2d_box.chain import Chain, abis
from c2d_box.chain.events import ContractEvent
from c2d_box.metadata.questions import AskChain, LastingAnswers

SALE_EVENTS = ("ExchangeCreated", "ExchangeRateChanged", "DispenserCreated")
"""The events after which a price may be another one."""


class SaleEvents:
    """Finds the datatokens of sale events. Only Ocean's own exchange and dispenser are believed: any contract
    can write a log of that shape, and each datatoken that it names costs several questions to the chain.
    """

    def __init__(self, chain: Chain, ask: AskChain) -> None:
        self._chain = chain
        self._tokens = LastingAnswers[str](ask)

    async def tokens_of(self, event: ContractEvent) -> set[str]:
        """Return addresses of datatokens in lower case; none for an event of another contract."""
        # Asked before anything else, so that foreign events cost nothing.
        known = (self._chain.addresses.fixed_price, self._chain.addresses.dispenser)
        if not any(same_hex(event.address, address) for address in known):
            return set()
        # The contracts' versions spell the argument differently.
        for name in ("datatoken", "datatokenAddress", "dataToken"):
            if name in event.arguments:
                return {str(event[name]).lower()}
        # A change of rate names the exchange only; its datatoken never changes, so it is asked for once.
        exchange_id = str(event["exchangeId"])
        return {
            await self._tokens.answer_about(
                exchange_id, lambda: self._token_sold_by(event.address, exchange_id)
            )
        }

    def _token_sold_by(self, exchange: str, exchange_id: str) -> str:
        """Return the datatoken that an exchange sells, in lower case; blocks."""
        number = bytes.fromhex(exchange_id.removeprefix("0x"))
        terms = self._chain.read_view(abis.EXCHANGE, exchange, "getExchange", number)
        # The second value of ``getExchange`` is the datatoken.
        return str(terms[1]).lower()
