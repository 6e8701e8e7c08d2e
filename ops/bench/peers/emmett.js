// Emmett on SQLite or on PostgreSQL. Settings: folder, events, filled, store ("sqlite" or "postgresql"), url.
'use strict'
const path = require('path')
const { answer, readEvents, settings, supply, timed, versionOf, wanted } = require('./answering.js')

const CALLERS = 16
const BULK = 100
const STREAM = 500
const PATIENCE = 120000

async function opened (kind, folder, url) {
  if (kind === 'sqlite') {
    return wanted('@event-driven-io/emmett-sqlite').getSQLiteEventStore({ fileName: path.join(folder, 'emmett.db') })
  }
  const store = wanted('@event-driven-io/emmett-postgresql').getPostgreSQLEventStore(url)
  await store.schema.migrate()
  return store
}

async function main () {
  const { folder, events, filled, store: kind, url } = await settings()
  const take = supply(readEvents(events, 20000).map(raw => ({ type: 'Attested', data: JSON.parse(raw) })))
  const store = await opened(kind, folder, url)
  let streams = 0
  let followers = 0
  for (let at = 0; at < filled; at += STREAM) await store.appendToStream(`full-${at}`, take(STREAM))

  const append = together => count => {
    const taken = take(Math.max(count, together))
    return timed(async () => {
      for (let at = 0; at < taken.length; at += together) {
        await store.appendToStream(`growing-${streams++}`, taken.slice(at, at + together))
      }
      return taken.length
    })
  }
  await answer(versionOf(`@event-driven-io/emmett-${kind}`), {
    'append one': append(1),
    'append bulk': append(BULK),
    'append together': count => timed(async () => {
      const taken = take(count)
      await Promise.all(Array.from({ length: CALLERS }, async (_, caller) => {
        for (let at = caller; at < taken.length; at += CALLERS) {
          await store.appendToStream(`growing-${streams++}`, [taken[at]])
        }
      }))
      return taken.length
    }),
    follow: () => {
      const current = new Map()
      const consumer = store.consumer()
      let count = 0
      consumer[consumer.reactor ? 'reactor' : 'processor']({
        processorId: `follower-${process.pid}-${followers++}`,
        startFrom: 'BEGINNING',
        stopAfter: () => count >= filled,
        eachMessage: message => {
          current.set(message.data.subject_pith_number, message.data)
          count++
        }
      })
      return timed(async () => {
        let timer
        const late = new Promise((resolve, reject) => { timer = setTimeout(() => reject(new Error('too late')), PATIENCE) })
        await Promise.race([consumer.start(), late])
        clearTimeout(timer)
        await consumer.stop?.()
        return count
      })
    }
  }, async () => { await store.close?.() })
}
main()
