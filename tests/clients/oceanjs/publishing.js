'use strict'
// Publishing and editing: contracts, encrypted files, encrypted DDO, validation, and the wait for the cache.

const assert = require('node:assert')
const { Absent, appeared, lib } = require('./session.js')

const CONTAINER = {
  entrypoint: 'python $ALGO',
  image: 'c2d.local/algo-python',
  tag: 'latest',
  checksum: `sha256:${'ab'.repeat(32)}`
}

function draft(kind, service, extra) {
  return {
    '@context': ['https://w3id.org/did/v1'],
    id: '',
    version: '4.1.0',
    chainId: 8996,
    nftAddress: '0x0',
    metadata: {
      created: '2026-11-22T00:00:00Z',
      updated: '2026-11-22T00:00:00Z',
      type: kind,
      name: `A ${kind}`,
      description: 'Published by ocean.js',
      author: 'An author',
      license: 'MIT',
      ...(kind === 'algorithm' && { algorithm: { language: 'python', version: '1', container: CONTAINER } })
    },
    services: [
      {
        id: 'service-1',
        type: service,
        files: '',
        datatokenAddress: '0x0',
        serviceEndpoint: '',
        timeout: 3600,
        ...(service === 'compute' && {
          compute: {
            allowRawAlgorithm: false,
            allowNetworkAccess: false,
            publisherTrustedAlgorithmPublishers: [],
            publisherTrustedAlgorithms: []
          }
        }),
        ...extra
      }
    ]
  }
}

async function createContracts(session, price, template) {
  const { config, publisher } = session
  const owner = await publisher.getAddress()
  const factory = new lib.NftFactory(config.nftFactoryAddress, publisher)
  const nft = { name: 'An NFT', symbol: 'NFT', templateIndex: 1, tokenURI: 'uri', transferable: true, owner }
  const datatoken = {
    templateIndex: template,
    cap: '100000',
    feeAmount: '0',
    paymentCollector: lib.ZERO_ADDRESS,
    feeToken: lib.ZERO_ADDRESS,
    minter: owner,
    mpFeeAddress: lib.ZERO_ADDRESS
  }
  const create = {
    unpriced: () => factory.createNftWithDatatoken(nft, datatoken),
    free: () => factory.createNftWithDatatokenWithDispenser(nft, datatoken, dispenser(config)),
    fixed: () => factory.createNftWithDatatokenWithFixedRate(nft, datatoken, fixedRate(config, owner))
  }
  const receipt = await (await create[price]()).wait()
  return {
    nftAddress: lib.getEventFromTx(receipt, 'NFTCreated').args.newTokenAddress,
    datatokenAddress: lib.getEventFromTx(receipt, 'TokenCreated').args.newTokenAddress
  }
}

function dispenser(config) {
  return {
    dispenserAddress: config.dispenserAddress,
    maxTokens: '1',
    maxBalance: '1',
    withMint: true,
    allowedSwapper: lib.ZERO_ADDRESS
  }
}

function fixedRate(config, owner) {
  return {
    fixedRateAddress: config.fixedRateExchangeAddress,
    baseTokenAddress: config.oceanTokenAddress,
    owner,
    marketFeeCollector: owner,
    baseTokenDecimals: 18,
    datatokenDecimals: 18,
    fixedRate: '2',
    marketFee: '0.001',
    allowedConsumer: lib.ZERO_ADDRESS,
    withMint: true
  }
}

/** Validate, encrypt, set on the chain; resolves with what the cache shows for this very transaction. */
async function setDocument(session, ddo) {
  const { cache, config, provider, providerUrl, publisher } = session
  const validation = await cache.validate(ddo)
  assert(validation.valid && validation.hash, JSON.stringify(validation.errors))
  const blob = await provider.encrypt(ddo, config.chainId, providerUrl)
  const nft = new lib.Nft(publisher, config.chainId, config)
  const owner = await publisher.getAddress()
  const sent = await nft.setMetadata(ddo.nftAddress, owner, 0, providerUrl, '', '0x02', blob, validation.hash)
  const { transactionHash } = await sent.wait()
  const shown = await appeared(session, ddo.id, transactionHash)
  assert(shown, `${ddo.id} did not appear`)
  assert.strictEqual(shown.event.txid, transactionHash)
  return shown
}

async function publish(session, kind, service, { price = 'free', template = 1, files, ...extra } = {}) {
  const { config, provider, providerUrl } = session
  const made = await createContracts(session, price, template)
  const ddo = draft(kind, service, extra)
  const source = kind === 'algorithm' ? 'algo.py' : 'data.csv'
  const plain = { ...made, files: files ?? [{ type: 'url', url: `${session.files}/${source}`, method: 'GET' }] }
  ddo.nftAddress = made.nftAddress
  ddo.id = lib.generateDid(made.nftAddress, config.chainId)
  ddo.services[0].files = await provider.encrypt(plain, config.chainId, providerUrl)
  ddo.services[0].datatokenAddress = made.datatokenAddress
  ddo.services[0].serviceEndpoint = providerUrl
  return setDocument(session, ddo)
}

/** The way ocean-cli edits: the record as the cache shows it, changed and published again. */
async function edit(session, name, change) {
  const ddo = await session.cache.resolve(session.assets[name].id)
  change(ddo)
  session.assets[name] = await setDocument(session, ddo)
}

const consumerParameters = [
  { name: 'year', type: 'text', label: 'Year', required: false, description: 'Which year', default: '2020' }
]

const steps = {
  async discover({ provider, providerUrl }) {
    assert(await provider.isValidProvider(providerUrl))
    const root = await provider.getEndpoints(providerUrl)
    assert.strictEqual(Object.keys(root.serviceEndpoints).length, 16)
    const services = await provider.getServiceEndpoints(providerUrl, root)
    assert(provider.getEndpointURL(services, 'computeStart').urlPath.endsWith('/api/services/compute'))
  },

  async 'give the consumer tokens'({ config, consumer, consumerAddress, publisher }) {
    const token = config.oceanTokenAddress
    const before = Number(await lib.balance(consumer, token, consumerAddress))
    await (await lib.transfer(publisher, config, token, consumerAddress, '1000')).wait()
    assert.strictEqual(Number(await lib.balance(consumer, token, consumerAddress)), before + 1000)
  },

  async 'publish dataset, free'(session) {
    session.assets.dataset = await publish(session, 'dataset', 'compute')
  },

  async 'publish dataset, fixed price'(session) {
    session.assets.second = await publish(session, 'dataset', 'compute', { price: 'fixed' })
  },

  async 'publish algorithm'(session) {
    session.assets.algorithm = await publish(session, 'algorithm', 'access', { price: 'unpriced' })
  },

  async 'publish download, free'(session) {
    session.assets.download = await publish(session, 'dataset', 'access', { consumerParameters })
  },

  async 'publish download, fixed price'(session) {
    session.assets.bought = await publish(session, 'dataset', 'access', { price: 'fixed' })
  },

  async 'publish download, template 2'(session) {
    session.assets.enterprise = await publish(session, 'dataset', 'access', { price: 'fixed', template: 2 })
  },

  async 'publish step by step'(session) {
    const { config, publisher } = session
    const owner = await publisher.getAddress()
    const zero = lib.ZERO_ADDRESS
    const nft = { name: 'An NFT', symbol: 'NFT', templateIndex: 1, tokenURI: '', transferable: true, owner }
    const address = await new lib.NftFactory(config.nftFactoryAddress, publisher).createNFT(nft)
    const maker = new lib.Nft(publisher, config.chainId, config)
    const token = await maker.createDatatoken(address, owner, owner, owner, zero, zero, '0', '1000', 'DT', 'DT')
    const datatoken = new lib.Datatoken(publisher, config.chainId, config)
    await (await datatoken.createDispenser(token, owner, config.dispenserAddress, dispenser(config))).wait()
    const rate = { ...fixedRate(config, owner), fixedRate: String(10n ** 18n), marketFee: '0' }
    await (await datatoken.createFixedRate(token, owner, rate)).wait()
    assert.strictEqual((await datatoken.getFixedRates(token)).length, 1)
    const status = await new lib.Dispenser(config.dispenserAddress, publisher).status(token)
    assert(status.active)
  },

  async 'publish with createAsset'(session) {
    if (!lib.createAsset) throw new Absent('createAsset came with ocean.js 3.4.0')
    const { cache, config, files, providerUrl, publisher } = session
    const plain = { files: [{ type: 'url', url: `${files}/data.csv`, method: 'GET' }] }
    const ddo = { ...draft('dataset', 'access'), stats: { price: { value: '0' } } }
    const zero = lib.ZERO_ADDRESS
    const did = await lib.createAsset('A', 'A', publisher, plain, 1, ddo, true, providerUrl, zero, cache)
    assert(await appeared(session, did))
  },

  async edit(session) {
    await edit(session, 'dataset', (ddo) => {
      ddo.metadata.description = 'Described anew'
    })
    assert.strictEqual(session.assets.dataset.metadata.description, 'Described anew')
  },

  async 'look into the cache'({ assets, cache }) {
    const shown = await cache.resolve(assets.dataset.id)
    assert.strictEqual(shown.nft.state, 0)
    assert.strictEqual(shown.datatokens[0].serviceId, 'service-1')
    assert.strictEqual((await cache.getAssetMetadata(assets.dataset.id)).name, 'A dataset')
    const query = { query: { query_string: { query: `nftAddress:"${assets.dataset.nftAddress}"` } } }
    const found = await cache.querySearch(query)
    assert.deepStrictEqual(found.hits.hits.map((hit) => hit._source.id), [assets.dataset.id])
  },

  async 'validate: refused'({ cache }) {
    const { valid, errors } = await cache.validate({ ...draft('dataset', 'access'), metadata: undefined })
    assert(valid === false && errors)
  },

  async 'end of life and back'(session) {
    const { assets, config, publisher } = session
    const owner = await publisher.getAddress()
    const nft = new lib.Nft(publisher, config.chainId, config)
    const { id, nftAddress } = assets.bought
    const state = async () => (await session.cache.resolve(id).catch(() => undefined))?.nft.state
    for (const wanted of [1, 0]) {
      await (await nft.setMetadataState(nftAddress, owner, wanted)).wait()
      const deadline = Date.now() + 5000
      while ((await state()) !== wanted && Date.now() < deadline) await lib.sleep(50)
      assert.strictEqual(await state(), wanted)
    }
  }
}

module.exports = { CONTAINER, edit, publish, steps }
