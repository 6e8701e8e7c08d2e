// hypercore 11: a signed append-only log with a Merkle tree. Settings: folder, events, filled.
'use strict'
const path = require('path')
const { answer, readEvents, settings, supply, timed, versionOf, wanted } = require('./answering.js')
const Hypercore = wanted('hypercore')
const audit = wanted(path.join(process.cwd(), 'node_modules/hypercore/lib/audit.js'))

const CALLERS = 16
const BULK = 1000

async function main () {
  const { folder, events, filled } = await settings()
  const take = supply(readEvents(events, 20000))
  const growing = new Hypercore(path.join(folder, 'growing'))
  const full = new Hypercore(path.join(folder, 'full'))
  await growing.ready()
  await full.ready()
  for (let at = 0; at < filled; at += BULK) await full.append(take(BULK))
  let peers = 0

  const append = together => async count => {
    const taken = take(Math.max(count, together))
    return timed(async () => {
      for (let at = 0; at < taken.length; at += together) {
        await growing.append(together === 1 ? taken[at] : taken.slice(at, at + together))
      }
      return taken.length
    })
  }
  const cases = {
    'append one': append(1),
    'append bulk': append(BULK),
    'append together': async count => {
      const taken = take(count)
      return timed(async () => {
        let next = 0
        await Promise.all(Array.from({ length: CALLERS }, async () => {
          while (next < taken.length) await growing.append(taken[next++])
        }))
        return taken.length
      })
    },
    read: () => timed(async () => {
      let count = 0
      for await (const block of full.createReadStream({ start: 0, end: full.length })) count += block.length > 0
      return count
    }),
    get: count => timed(async () => {
      for (let at = 0; at < count; at++) await full.get(at * 7919 % full.length)
      return count
    }),
    audit: () => timed(async () => {
      const found = await audit(full.core, { dryRun: true })
      if (found.corrupt || found.droppedBlocks || found.blocks < full.length) throw new Error(JSON.stringify(found))
      return full.length
    }),
    // Each block with a proof against the signed head, verified by a peer that has nothing yet.
    'prove and verify': async count => {
      const peer = new Hypercore(path.join(folder, `peer-${peers++}`), full.key, { manifest: full.manifest })
      await peer.ready()
      const found = await timed(async () => {
        for (let at = 0; at < count; at++) {
          const upgrade = at ? undefined : { start: 0, length: full.length }
          const proof = await full.proof({ block: { index: at, nodes: await peer.missingNodes(at) }, upgrade })
          proof.block.value = await full.get(at)
          await peer.core.verify(proof)
        }
        return count
      })
      await peer.close()
      return found
    }
  }
  await answer(versionOf('hypercore'), cases, async () => {
    await growing.close()
    await full.close()
  })
}
main()
