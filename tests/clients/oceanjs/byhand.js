'use strict'
// Endpoints that no ocean.js of this generation calls: sent by hand, found and signed by the library.

const assert = require('node:assert')
const { lib } = require('./session.js')

async function endpoint({ provider, providerUrl }, name) {
  const services = await provider.getServiceEndpoints(providerUrl, await provider.getEndpoints(providerUrl))
  return provider.getEndpointURL(services, name)
}

async function signed({ consumer, consumerAddress, provider, providerUrl }, message) {
  const nonce = String((await provider.getNonce(providerUrl, consumerAddress)) + 1)
  return { nonce, signature: await provider.signProviderRequest(consumer, `${message}${nonce}`) }
}

async function call(session, name, data) {
  const { method, urlPath } = await endpoint(session, name)
  const query = method === 'GET' ? `?${new URLSearchParams(data)}` : ''
  const headers = { 'Content-Type': 'application/json' }
  const body = query ? undefined : JSON.stringify(data)
  return session.fetch(urlPath + query, { method, headers, body })
}

async function downloadWith(session, token) {
  const { assets, consumer, fetch, orders, provider, providerUrl } = session
  const { id, services } = assets.download
  const url = new URL(await provider.getDownloadUrl(id, services[0].id, 0, orders.download, providerUrl, consumer))
  url.searchParams.delete('signature')
  return fetch(url.toString(), { headers: { AuthToken: token } })
}

const steps = {
  async 'token instead of a signature'(session) {
    const address = session.consumerAddress
    const expiration = Math.floor(Date.now() / 1000) + 3600
    const made = await call(session, 'create_auth_token', { address, expiration, ...(await signed(session, address)) })
    const { token } = await made.json()
    assert(token)
    assert.strictEqual(await (await downloadWith(session, token)).text(), 'a,b\n1,2\n')
    const gone = await call(session, 'delete_auth_token', { address, token, ...(await signed(session, address)) })
    assert.deepStrictEqual(await gone.json(), { success: 'Token has been deactivated.' })
    assert.strictEqual((await downloadWith(session, token)).status, 400)
  },

  async decrypt(session) {
    const { assets, config, consumerAddress } = session
    const { id, event, nftAddress } = assets.dataset
    const proof = await signed(session, `${event.tx}${consumerAddress}${config.chainId}`)
    const answer = await call(session, 'decrypt', {
      decrypterAddress: consumerAddress,
      chainId: config.chainId,
      dataNftAddress: nftAddress,
      transactionId: event.tx,
      ...proof
    })
    assert.strictEqual(answer.status, 201)
    assert.strictEqual(JSON.parse(await answer.text()).id, id)
  },

  async 'validate a container'(session) {
    const container = session.assets.algorithm.metadata.algorithm.container
    const answer = await call(session, 'validateContainer', container)
    assert.deepStrictEqual(await answer.json(), container)
    const refused = await call(session, 'validateContainer', { ...container, checksum: 'ab' })
    assert.deepStrictEqual([refused.status, await refused.json()], [400, { error: 'checksum_prefix' }])
    assert.strictEqual(typeof lib.getErrorMessage, 'function')
  }
}

module.exports = { steps }
