'use strict'
// What every step shares: the published library, unmodified, two accounts, and what was published so far.

const { createRequire } = require('node:module')
const { subscribe } = require('node:diagnostics_channel')
const path = require('node:path')

const installed = createRequire(path.join(process.env.CLIENT_FOLDER, 'package.json'))
const lib = installed('@oceanprotocol/lib')
const { ethers } = installed('ethers')
const fetch = installed('cross-fetch')

const places = { provider: process.env.PROVIDER_URL, cache: process.env.AQUARIUS_URL, chain: process.env.NODE_URI }

/** Every answer that comes back over HTTP, until `take` is called: `provider GET /path 200`. */
class Recorder {
  constructor() {
    this.seen = []
    subscribe('http.client.response.finish', ({ request, response }) => {
      const origin = `http://${request.getHeader('host')}`
      const place = Object.keys(places).find((name) => places[name].startsWith(origin)) ?? 'elsewhere'
      this.seen.push(`${place} ${request.method} ${request.path.split('?')[0]} ${response.statusCode}`)
    })
  }

  take() {
    return this.seen.splice(0)
  }
}

/** The library sends what an account of the node signs and what a wallet signs: one role uses each. */
async function openSession() {
  const node = new ethers.providers.JsonRpcProvider(places.chain)
  node.pollingInterval = 50
  const config = new lib.ConfigHelper().getConfig('development')
  const session = {
    lib,
    ethers,
    fetch,
    config,
    provider: lib.ProviderInstance,
    providerUrl: config.providerUri,
    cache: new lib.Aquarius(config.metadataCacheUri),
    files: process.env.FILES_URL,
    publisher: node.getSigner(0),
    consumer: ethers.Wallet.fromMnemonic(process.env.MNEMONIC, "m/44'/60'/0'/0/1").connect(node),
    assets: {},
    orders: {},
    jobs: {},
    finish: (job) => process.stdout.write(`${JSON.stringify({ finish: job })}\n`)
  }
  session.datatoken = new lib.Datatoken(session.consumer, config.chainId, config)
  session.consumerAddress = await session.consumer.getAddress()
  return session
}

/**
 * The library's wait, which 3.4.6 renamed. It pauses for 1.5 or 3 seconds after each miss, so all but the first
 * wait of a session begin when the document is there.
 */
async function appeared(session, did, transaction) {
  const deadline = Date.now() + 15000
  while (session.waited && Date.now() < deadline) {
    const shown = await session.cache.resolve(did).catch(() => undefined)
    if (shown && (!transaction || shown.event.txid === transaction)) break
    await lib.sleep(50)
  }
  session.waited = true
  const wait = session.cache.waitForAqua ?? session.cache.waitForIndexer
  return wait.call(session.cache, did, transaction)
}

/** Thrown by a step that a version of the library cannot take. */
class Absent extends Error {}

async function refusal(promise) {
  try {
    await promise
  } catch (error) {
    return String(error.message)
  }
  throw new Error('was not refused')
}

module.exports = { Absent, Recorder, appeared, lib, openSession, refusal }
