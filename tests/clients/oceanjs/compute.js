'use strict'
// Compute: refused by default, permitted, paid, started, stopped, repeated; with registered and raw algorithms.

const assert = require('node:assert')
const { lib, refusal } = require('./session.js')
const { CONTAINER, edit, publish } = require('./publishing.js')

const soon = (seconds) => Math.floor(Date.now() / 1000) + seconds

const raw = { meta: { rawcode: "print('hello')", language: 'python', version: '1', container: CONTAINER } }

function item(asset, transferTxId) {
  return { documentId: asset.id, serviceId: asset.services[0].id, ...(transferTxId && { transferTxId }) }
}

async function environment({ config, provider, providerUrl }, free = true) {
  const all = await provider.getComputeEnvironments(providerUrl)
  return all[config.chainId].find((entry) => (free ? entry.priceMin === 0 : entry.priceMin !== 0))
}

async function quoted(session, { datasets, algorithm, env, validUntil }) {
  const { consumerAddress, provider, providerUrl } = session
  const items = datasets.map((each) => (each.id ? item(each) : each))
  return provider.initializeCompute(items, algorithm, env.id, validUntil, providerUrl, consumerAddress)
}

/** The three shapes of a quote, as the library's own examples treat them. */
async function ordered(session, offer, asset, env) {
  const { config, consumer, consumerAddress, datatoken } = session
  const token = asset.services[0].datatokenAddress
  const fee = offer.providerFee
  if (fee?.providerFeeAmount) {
    await lib.approveWei(consumer, config, consumerAddress, fee.providerFeeToken, token, fee.providerFeeAmount)
  }
  if (offer.validOrder && !fee) return offer.validOrder
  const sent = offer.validOrder
    ? await datatoken.reuseOrder(token, offer.validOrder, fee)
    : await started(session, token, env, fee)
  return (await sent.wait()).transactionHash
}

async function started(session, token, env, fee) {
  const { config, consumerAddress, datatoken, publisher } = session
  const owner = await publisher.getAddress()
  const minting = new lib.Datatoken(publisher, config.chainId, config)
  await (await minting.mint(token, owner, '1', consumerAddress)).wait()
  return datatoken.startOrder(token, env.consumerAddress, 0, fee)
}

async function start(session, env, datasets, algorithm, output = {}) {
  const { consumer, provider, providerUrl } = session
  const [main, ...more] = datasets
  const jobs = await provider.computeStart(providerUrl, consumer, env.id, main, algorithm, null, more, output)
  return jobs?.[0]
}

async function status(session, job, about) {
  const { consumerAddress, provider, providerUrl } = session
  return provider.computeStatus(providerUrl, consumerAddress, job, about)
}

async function ended(session, job) {
  session.finish(job)
  const deadline = Date.now() + 10000
  for (;;) {
    const [found] = await status(session, job)
    if (found.status === 70) return found
    assert(Date.now() < deadline, `still ${found.statusText}`)
    await lib.sleep(50)
  }
}

/** Initialize, pay and start with these; resolves with the job. */
async function computed(session, assets, env, validUntil = soon(600)) {
  const { datasets, algorithm } = assets
  const asked = { datasets, algorithm: algorithm.id ? item(algorithm) : algorithm, env, validUntil }
  const quote = await quoted(session, asked)
  const paid = algorithm.id && (await ordered(session, quote.algorithm, algorithm, env))
  const orders = []
  for (const [index, each] of datasets.entries()) {
    orders.push(await ordered(session, quote.datasets[index], each, env))
  }
  const items = datasets.map((each, index) => item(each, orders[index]))
  const job = await start(session, env, items, algorithm.id ? item(algorithm, paid) : algorithm)
  assert(job?.jobId, 'computeStart answered nothing')
  return { job, orders, paid }
}

async function permit(session, name) {
  const { assets, provider, providerUrl } = session
  const { id, services, metadata } = assets.algorithm
  const [file] = await provider.checkDidFiles(id, services[0].id, providerUrl, true)
  const { entrypoint, checksum } = metadata.algorithm.container
  await edit(session, name, (ddo) => {
    ddo.services[0].compute.publisherTrustedAlgorithms = [
      { did: id, filesChecksum: file.checksum, containerSectionChecksum: lib.getHash(entrypoint + checksum) }
    ]
  })
}

/** From 3.3.3 on a job is looked up by its agreement, before by the DID of its dataset. */
const modern = Boolean(lib.createAsset)
const reference = ({ dataset, job }) => (modern ? job.agreementId : dataset.id)

function stop(session, signer) {
  const { consumerAddress, provider, providerUrl } = session
  const { dataset, job } = session.first
  const rest = modern ? [job.agreementId] : []
  return provider.computeStop(dataset.id, consumerAddress, job.jobId, providerUrl, signer, ...rest)
}

const steps = {
  async environments(session) {
    const free = await environment(session)
    assert.strictEqual(free.id, 'ocean-compute')
    assert((await environment(session, false)).priceMin > 0)
    session.environment = free
  },

  async 'compute: not permitted by default'(session) {
    const { algorithm, dataset } = session.assets
    const asked = { datasets: [dataset], algorithm: item(algorithm), env: session.environment }
    const said = await refusal(quoted(session, { ...asked, validUntil: soon(600) }))
    assert.deepStrictEqual(JSON.parse(said).error, { dataset: 'not_trusted_algo' })
    const friendly = lib.getErrorMessage('{"error":{"dataset":"not_trusted_algo"}}')
    assert.strictEqual(lib.getErrorMessage(said), friendly)
  },

  async permit(session) {
    await permit(session, 'dataset')
    await permit(session, 'second')
  },

  async 'compute: expired and unknown environments refused'(session) {
    const { algorithm, dataset } = session.assets
    const asked = { datasets: [dataset], algorithm: item(algorithm) }
    const past = quoted(session, { ...asked, env: session.environment, validUntil: soon(-60) })
    assert.match(await refusal(past), /validUntil/)
    const nowhere = quoted(session, { ...asked, env: { id: 'nowhere' }, validUntil: soon(60) })
    assert.match(await refusal(nowhere), /Compute environment does not exist/)
  },

  async 'compute, published algorithm'(session) {
    const { algorithm, dataset } = session.assets
    session.validUntil = soon(600)
    const assets = { datasets: [dataset], algorithm }
    session.first = { ...(await computed(session, assets, session.environment, session.validUntil)), dataset }
    assert.strictEqual(session.first.job.agreementId, session.first.paid)
  },

  async status(session) {
    const { job, dataset } = session.first
    const found = await status(session, job.jobId, reference({ dataset, job }))
    assert.deepStrictEqual(found.map((each) => each.jobId), [job.jobId])
    assert.strictEqual(typeof found[0].status, 'number')
    const all = await status(session)
    assert(all.some((each) => each.jobId === job.jobId))
    assert.deepStrictEqual(await status(session, '0'.repeat(32)), [])
  },

  async 'compute: one job at a time for one order'(session) {
    const { dataset, orders, paid } = session.first
    const again = [item(dataset, orders[0])]
    const job = await start(session, session.environment, again, item(session.assets.algorithm, paid))
    assert.strictEqual(job, undefined)
  },

  async 'stop: refused to others'(session) {
    assert.match(await refusal(stop(session, session.publisher)), /signature/)
  },

  async stop(session) {
    const { job } = session.first
    const answered = await stop(session, session.consumer)
    assert.strictEqual(answered[0].jobId, job.jobId)
    const [found] = await status(session, job.jobId)
    assert.strictEqual(Number(found.stopreq), 1, JSON.stringify(found))
  },

  async results(session) {
    const { consumer, provider, providerUrl } = session
    const { jobId } = session.first.job
    const { results } = await ended(session, jobId)
    const url = await provider.getComputeResultUrl(providerUrl, consumer, jobId, results[0].index)
    const file = await lib.downloadFile(url)
    assert.strictEqual(Buffer.from(file.data).toString(), 'result bytes')
    assert.strictEqual(file.filename, 'metrics.json')
    const none = await provider.getComputeResultUrl(providerUrl, consumer, jobId, 9)
    assert.match(await refusal(lib.downloadFile(none)), /Response error/)
  },

  async delete(session) {
    const { consumer, provider, providerUrl } = session
    const { dataset, job } = session.first
    const answered = await provider.computeDelete(dataset.id, consumer, job.jobId, providerUrl)
    assert(!Array.isArray(answered) || answered.length > 0)
  },

  async 'compute again with the same orders'(session) {
    const { algorithm } = session.assets
    const { dataset, orders, paid } = session.first
    const asked = { datasets: [item(dataset, orders[0])], algorithm: item(algorithm, paid) }
    const env = session.environment
    const quote = await quoted(session, { ...asked, env, validUntil: session.validUntil })
    assert.deepStrictEqual(quote.datasets, [{ validOrder: orders[0] }])
    assert.deepStrictEqual(quote.algorithm, { validOrder: paid })
    const job = await start(session, env, asked.datasets, asked.algorithm)
    await ended(session, job.jobId)
  },

  async 'compute again, later: reuse'(session) {
    const { algorithm } = session.assets
    const { dataset, orders, paid } = session.first
    const asked = { datasets: [item(dataset, orders[0])], algorithm: item(algorithm, paid) }
    const env = session.environment
    const quote = await quoted(session, { ...asked, env, validUntil: session.validUntil + 900 })
    assert(quote.algorithm.validOrder && quote.algorithm.providerFee, JSON.stringify(quote))
    const fresh = await ordered(session, quote.algorithm, algorithm, env)
    const data = await ordered(session, quote.datasets[0], dataset, env)
    assert(fresh !== paid && data !== orders[0])
    const job = await start(session, env, [item(dataset, data)], item(algorithm, fresh))
    await ended(session, job.jobId)
  },

  async 'compute, several datasets'(session) {
    const { algorithm, dataset, second } = session.assets
    const { job } = await computed(session, { datasets: [dataset, second], algorithm }, session.environment)
    assert.deepStrictEqual(job.inputDID ?? [dataset.id, second.id], [dataset.id, second.id])
    await ended(session, job.jobId)
  },

  async 'compute, paid environment'(session) {
    const { algorithm, dataset } = session.assets
    const { config, consumer, consumerAddress } = session
    const balance = () => lib.balance(consumer, config.oceanTokenAddress, consumerAddress)
    const before = Number(await balance())
    const env = await environment(session, false)
    const { job } = await computed(session, { datasets: [dataset], algorithm }, env)
    const cost = before - Number(await balance())
    assert(cost > 9 && cost <= 10, `ten minutes cost ${cost}`)
    await ended(session, job.jobId)
  },

  async 'compute, raw algorithm: not permitted by default'(session) {
    const asked = { datasets: [session.assets.dataset], algorithm: raw, env: session.environment }
    const said = await refusal(quoted(session, { ...asked, validUntil: soon(600) }))
    assert.deepStrictEqual(JSON.parse(said).error, { dataset: 'no_raw_algo_allowed' })
  },

  async 'compute, raw algorithm'(session) {
    await edit(session, 'dataset', (ddo) => {
      ddo.services[0].compute.allowRawAlgorithm = true
    })
    const assets = { datasets: [session.assets.dataset], algorithm: raw }
    const { job, orders } = await computed(session, assets, session.environment)
    assert.strictEqual(job.agreementId, orders[0])
    await ended(session, job.jobId)
  },

  async 'compute: a changed algorithm is no longer permitted'(session) {
    await edit(session, 'algorithm', (ddo) => {
      ddo.metadata.algorithm.container.entrypoint = 'sh $ALGO'
    })
    const { algorithm, dataset } = session.assets
    const asked = { datasets: [dataset], algorithm: item(algorithm), env: session.environment }
    const said = await refusal(quoted(session, { ...asked, validUntil: soon(600) }))
    assert.deepStrictEqual(JSON.parse(said).error, { dataset: 'algorithm_container_checksum_mismatch' })
  },

  async 'compute, no permit'(session) {
    session.environment = await environment(session)
    const algorithm = await publish(session, 'algorithm', 'access', { price: 'unpriced' })
    const dataset = await publish(session, 'dataset', 'compute', { price: 'unpriced' })
    const { job } = await computed(session, { datasets: [dataset], algorithm }, session.environment)
    await ended(session, job.jobId)
  }
}

module.exports = { steps }
