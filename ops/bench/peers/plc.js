// did-plc: its server over HTTP, which verifies every operation it takes, and the whole chain of a DID at each read.
// Settings: folder, url (of a PostgreSQL database), filled (DIDs to read).
'use strict'
const http = require('http')
const { fork } = require('child_process')
const { answer, settings, timed, versionOf, wanted } = require('./answering.js')
process.env.LOG_ENABLED = 'false'
const plc = wanted('@did-plc/lib')
const { Secp256k1Keypair } = wanted('@atproto/crypto')

const CALLERS = 16
const agent = new http.Agent({ keepAlive: true, maxSockets: CALLERS })

async function serve () {
  const { PlcServer, Database } = wanted('@did-plc/server')
  // Not in argv, where every user of the machine could read its password.
  const { url } = await new Promise(resolve => process.once('message', resolve))
  const db = Database.postgres({ url, schema: 'plc' })
  await db.migrateToLatestOrThrow()
  const server = PlcServer.create({ db, port: 0 })
  const listening = await server.start()
  process.send({ port: listening.address().port })
  process.on('disconnect', () => process.exit(0))
}

function call (port, method, path, body) {
  const headers = body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {}
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, host: '127.0.0.1', port, path, method, headers }, response => {
      const parts = []
      response.on('data', part => parts.push(part))
      response.on('end', () => response.statusCode < 300
        ? resolve()
        : reject(new Error(`${response.statusCode} ${Buffer.concat(parts)}`.slice(0, 200))))
    })
    request.on('error', reject)
    request.end(body)
  })
}

async function atOnce (count, callers, work) {
  let next = 0
  await Promise.all(Array.from({ length: callers }, async () => { while (next < count) await work(next++) }))
  return count
}

async function main () {
  const { url, filled } = await settings()
  const child = fork(__filename, ['--serve'], { stdio: ['ignore', 2, 2, 'ipc'] })
  child.send({ url })
  const { port } = await new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', () => reject(new Error('the server ended')))
  })
  const key = await Secp256k1Keypair.create()
  let made = 0
  const operations = async count => {
    const found = []
    while (found.length < count) {
      const handle = `user${made++}.example.org`
      found.push(await plc.createOp({ signingKey: key.did(), handle, pds: 'https://pds.example.org', rotationKeys: [key.did()], signer: key }))
    }
    return found
  }
  const create = async (count, callers) => {
    const ready = await operations(count)
    return timed(() => atOnce(count, callers, at => call(port, 'POST', `/${ready[at].did}`, JSON.stringify(ready[at].op))))
  }
  const known = await operations(filled)
  await atOnce(filled, CALLERS, at => call(port, 'POST', `/${known[at].did}`, JSON.stringify(known[at].op)))
  await answer(versionOf('@did-plc/server'), {
    'append one': count => create(count, 1),
    'append together': count => create(count, CALLERS),
    get: count => timed(() => atOnce(count, 1, at => call(port, 'GET', `/${known[at % filled].did}`)))
  }, async () => { child.disconnect() })
}
process.argv.includes('--serve') ? serve() : main()
