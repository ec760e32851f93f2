// What ocean.js does with ethers 5: unlocked signers, contract calls, reverts, events, signatures, polling.
const { ethers } = require("ethers5");
const [url, addressFile] = process.argv.slice(2);
const addresses = JSON.parse(addressFile);
const zero = ethers.constants.AddressZero;
const oceanAbi = ["function mint(address,uint256)"];
const factoryAbi = [
  "function deployERC721Contract(string,string,uint256,address,address,string,bool,address) returns (address)",
  "event NFTCreated(address newTokenAddress, address indexed templateAddress, string tokenName, address indexed admin, string symbol, string tokenURI, bool transferable, address indexed creator)",
];
const reason = (error) => error.reason?.replace("execution reverted: ", "") ?? error.error?.reason ?? String(error);

async function main() {
  const provider = new ethers.providers.JsonRpcProvider(url);
  provider.pollingInterval = 100;
  const polled = new Promise((resolve) => provider.once("block", () => resolve(true)));
  const { chainId } = await provider.getNetwork();
  const consumer = provider.getSigner(1);
  const address = await consumer.getAddress();
  const factory = new ethers.Contract(addresses.ERC721Factory, factoryAbi, consumer);
  const sent = await factory.deployERC721Contract("Ethers", "E", 1, zero, zero, "", true, address);
  const receipt = await sent.wait();
  const events = receipt.logs
    .filter((log) => log.topics[0] === factory.interface.getEventTopic("NFTCreated"))
    .map((log) => factory.interface.parseLog(log));
  const ocean = new ethers.Contract(addresses.Ocean, oceanAbi, consumer);
  const callReason = await ocean.callStatic.mint(address, 1).catch(reason);
  const estimateReason = await ocean.estimateGas.mint(address, 1).catch(reason);
  const found = await factory.queryFilter(factory.filters.NFTCreated(), receipt.blockNumber, receipt.blockNumber);
  const signature = await consumer.signMessage("c2d");
  const domain = { name: "Ocean", chainId };
  const types = { Order: [{ name: "amount", type: "uint256" }] };
  const typed = await consumer._signTypedData(domain, types, { amount: 5 });
  console.log(
    JSON.stringify({
      chainId,
      status: receipt.status,
      type: receipt.type,
      reason: callReason,
      estimateReason,
      name: events[0].args.tokenName,
      events: found.length,
      recovered: ethers.utils.verifyMessage("c2d", signature),
      typed: ethers.utils.verifyTypedData(domain, types, { amount: 5 }, typed),
      polled: await polled,
    }),
  );
}
main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
