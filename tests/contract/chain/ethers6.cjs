// The same as ethers5.cjs with ethers 6, which batches its requests.
const { ethers } = require("ethers6");
const [url, addressFile] = process.argv.slice(2);
const addresses = JSON.parse(addressFile);
const oceanAbi = ["function mint(address,uint256)"];
const factoryAbi = [
  "function deployERC721Contract(string,string,uint256,address,address,string,bool,address) returns (address)",
  "event NFTCreated(address newTokenAddress, address indexed templateAddress, string tokenName, address indexed admin, string symbol, string tokenURI, bool transferable, address indexed creator)",
];

async function main() {
  const provider = new ethers.JsonRpcProvider(url, undefined, { polling: true, pollingInterval: 100 });
  const polled = new Promise((resolve) => provider.once("block", () => resolve(true)));
  const { chainId } = await provider.getNetwork();
  const consumer = await provider.getSigner(1);
  const address = await consumer.getAddress();
  const factory = new ethers.Contract(addresses.ERC721Factory, factoryAbi, consumer);
  const zero = ethers.ZeroAddress;
  const sent = await factory.deployERC721Contract("Ethers", "E", 1, zero, zero, "", true, address);
  const receipt = await sent.wait();
  const events = receipt.logs
    .filter((log) => log.address === addresses.ERC721Factory)
    .map((log) => factory.interface.parseLog(log))
    .filter((event) => event?.name === "NFTCreated");
  const ocean = new ethers.Contract(addresses.Ocean, oceanAbi, consumer);
  const callReason = await ocean.mint.staticCall(address, 1).catch((error) => error.reason);
  const estimateReason = await ocean.mint.estimateGas(address, 1).catch((error) => error.reason);
  const found = await factory.queryFilter("NFTCreated", receipt.blockNumber, receipt.blockNumber);
  const signature = await consumer.signMessage("c2d");
  const domain = { name: "Ocean", chainId };
  const types = { Order: [{ name: "amount", type: "uint256" }] };
  const typed = await consumer.signTypedData(domain, types, { amount: 5 });
  console.log(
    JSON.stringify({
      chainId: Number(chainId),
      status: receipt.status,
      type: receipt.type,
      reason: callReason,
      estimateReason,
      name: events[0].args.tokenName,
      events: found.length,
      recovered: ethers.verifyMessage("c2d", signature),
      typed: ethers.verifyTypedData(domain, types, { amount: 5 }, typed),
      polled: await polled,
    }),
  );
}
main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
