// The other side of `ops.bench.programs` for node: reads tasks from standard input and answers them, line by line.
'use strict'
const { createRequire } = require('module')
const fs = require('fs')
const path = require('path')
const readline = require('readline')

// Libraries that print must not speak between the answers.
console.log = console.info = console.error

// Packages are found where the bench installed them, which is where it starts this process.
const wanted = createRequire(path.join(process.cwd(), 'package.json'))
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()

async function settings () {
  return JSON.parse((await lines.next()).value)
}

function tell (value) {
  fs.writeSync(1, JSON.stringify(value) + '\n')
}

function versionOf (name) {
  return `${name} ${JSON.parse(fs.readFileSync(path.join(process.cwd(), 'node_modules', name, 'package.json'))).version}, node ${process.version.slice(1)}`
}

const seconds = () => Number(process.hrtime.bigint()) / 1e9

// Runs `what`, which gives how many operations it did.
async function timed (what) {
  const started = seconds()
  const operations = await what()
  return { operations, seconds: seconds() - started }
}

async function answer (version, cases, end = async () => {}) {
  tell({ ready: true, version })
  for await (const line of lines) {
    const task = JSON.parse(line)
    try {
      tell({ facts: {}, ...await cases[task.case](task.count) })
    } catch (error) {
      tell({ error: `${task.case}: ${error}`.slice(0, 400) })
      break
    }
  }
  await end()
  process.exit(0)
}

function readEvents (file, count) {
  const descriptor = fs.openSync(file, 'r')
  const buffer = Buffer.alloc(Math.min(fs.fstatSync(descriptor).size, count * 4096))
  const got = fs.readSync(descriptor, buffer, 0, buffer.length, 0)
  fs.closeSync(descriptor)
  const found = buffer.subarray(0, got).toString().split('\n').slice(0, -1).slice(0, count)
  return found.map(line => Buffer.from(line))
}

// Gives events in order, from the first again where there are no more.
function supply (events) {
  let next = 0
  return count => Array.from({ length: count }, () => events[next++ % events.length])
}

module.exports = { answer, readEvents, seconds, settings, supply, timed, versionOf, wanted }
