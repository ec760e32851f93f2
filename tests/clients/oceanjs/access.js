'use strict'
// The access service: look, pay, download.

const assert = require('node:assert')
const { lib, refusal } = require('./session.js')
const { edit } = require('./publishing.js')

const text = (downloaded) => Buffer.from(downloaded.data).toString()

async function bought(session, name) {
  const { config, consumer, datatoken, providerUrl } = session
  const asset = await session.cache.resolve(session.assets[name].id)
  const sent = await lib.orderAsset(asset, consumer, config, datatoken, providerUrl)
  const { transactionHash, status } = await sent.wait()
  assert.strictEqual(status, 1)
  session.orders[name] = transactionHash
  return transactionHash
}

function url(session, name, index = 0, parameters = undefined) {
  const { assets, consumer, orders, provider, providerUrl } = session
  const asset = assets[name]
  const service = asset.services[0].id
  return provider.getDownloadUrl(asset.id, service, index, orders[name], providerUrl, consumer, parameters)
}

async function downloaded(session, name) {
  await bought(session, name)
  const file = await lib.downloadFile(await url(session, name))
  assert.strictEqual(text(file), 'a,b\n1,2\n')
  assert.strictEqual(file.filename, 'data.csv')
}

const steps = {
  async 'file information'({ assets, files, provider, providerUrl }) {
    const file = { type: 'url', url: `${files}/data.csv`, method: 'GET' }
    const [seen] = await provider.getFileInfo(file, providerUrl, true)
    assert(seen.valid && seen.contentLength === '8' && seen.checksum.length === 64, JSON.stringify(seen))
    const [own] = await provider.checkDidFiles(assets.download.id, 'service-1', providerUrl, true)
    assert.strictEqual(own.checksum, seen.checksum)
    assert.strictEqual(own.url, undefined)
    const missing = await provider.getFileInfo({ ...file, url: `${files}/missing` }, providerUrl)
    assert.strictEqual(missing[0].valid, false)
  },

  async initialize({ assets, consumerAddress, config, ethers, provider, providerUrl }) {
    const { id, services } = assets.download
    const quote = await provider.initialize(id, services[0].id, 0, consumerAddress, providerUrl)
    assert.strictEqual(quote.datatoken, services[0].datatokenAddress)
    assert.strictEqual(quote.providerFee.providerFeeAmount, '0')
    const token = ethers.utils.getAddress(config.oceanTokenAddress)
    assert.strictEqual(quote.providerFee.providerFeeToken, token)
  },

  async 'initialize: refused'({ assets, consumerAddress, provider, providerUrl }) {
    const unknown = `did:op:${'0'.repeat(64)}`
    const asked = provider.initialize(unknown, '0', 0, consumerAddress, providerUrl)
    const said = await refusal(asked)
    assert.strictEqual(lib.getErrorMessage(said), lib.getErrorMessage('{"error":"Cannot resolve DID"}'), said)
    const compute = assets.dataset
    const other = provider.initialize(compute.id, compute.services[0].id, 0, consumerAddress, providerUrl)
    assert.match(await refusal(other), /initializeCompute endpoint/)
  },

  'download, free': (session) => downloaded(session, 'download'),
  'download, fixed price': (session) => downloaded(session, 'bought'),
  'download, template 2': (session) => downloaded(session, 'enterprise'),

  async 'order several at once'(session) {
    const { assets, config, consumer, consumerAddress, datatoken, provider, providerUrl, publisher } = session
    const owner = await publisher.getAddress()
    const minting = new lib.Datatoken(publisher, config.chainId, config)
    const chosen = [assets.download, assets.bought]
    const orders = []
    for (const { id, services } of chosen) {
      const tokenAddress = services[0].datatokenAddress
      await (await minting.mint(tokenAddress, owner, '1', consumerAddress)).wait()
      await (await datatoken.approve(tokenAddress, config.nftFactoryAddress, '1')).wait()
      const quote = await provider.initialize(id, services[0].id, 0, consumerAddress, providerUrl)
      const none = lib.ZERO_ADDRESS
      orders.push({
        tokenAddress,
        consumer: consumerAddress,
        serviceIndex: 0,
        _providerFee: quote.providerFee,
        _consumeMarketFee: {
          consumeMarketFeeAddress: none,
          consumeMarketFeeToken: none,
          consumeMarketFeeAmount: '0'
        }
      })
    }
    const factory = new lib.NftFactory(config.nftFactoryAddress, consumer)
    const { transactionHash } = await (await factory.startMultipleTokenOrder(orders)).wait()
    const both = { ...session, orders: { download: transactionHash, bought: transactionHash } }
    for (const name of ['download', 'bought']) {
      assert.strictEqual(text(await lib.downloadFile(await url(both, name))), 'a,b\n1,2\n')
    }
  },

  async 'deny a consumer'(session) {
    const { consumerAddress, provider, providerUrl } = session
    await edit(session, 'enterprise', (ddo) => {
      ddo.credentials = { allow: [], deny: [{ type: 'address', values: [consumerAddress] }] }
    })
    const { id, services } = session.assets.enterprise
    const asked = provider.initialize(id, services[0].id, 0, consumerAddress, providerUrl)
    assert.match(await refusal(asked), /CREDENTIAL_IN_DENY_LIST/)
    assert.match(await refusal(lib.downloadFile(await url(session, 'enterprise'))), /Response error/)
  },

  async 'download with consumer parameters'(session) {
    const file = await lib.downloadFile(await url(session, 'download', 0, { year: '2021' }))
    assert.strictEqual(text(file), 'a,b\n1,2\n')
  },

  async 'download: refused'(session) {
    const used = await url(session, 'download')
    await lib.downloadFile(used)
    assert.match(await refusal(lib.downloadFile(used)), /Response error/)
    assert.match(await refusal(lib.downloadFile(await url(session, 'download', 9))), /Response error/)
    const stolen = { ...session, orders: { download: session.orders.bought } }
    assert.match(await refusal(lib.downloadFile(await url(stolen, 'download'))), /Response error/)
  }
}

module.exports = { steps }
