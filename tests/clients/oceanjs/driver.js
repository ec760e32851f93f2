'use strict'
// Runs one chapter of steps.json against a running box: one JSON line for each step on stdout.

const assert = require('node:assert')
const { Absent, Recorder, lib, openSession } = require('./session.js')
const chapters = require('./steps.json')

const taken = Object.assign(
  {},
  require('./publishing.js').steps,
  require('./access.js').steps,
  require('./compute.js').steps,
  require('./byhand.js').steps
)

async function take(name, session, recorder) {
  const began = performance.now()
  const line = { step: name }
  try {
    assert(taken[name], `no such step: ${name}`)
    await taken[name](session)
    line.outcome = 'passed'
  } catch (error) {
    line.outcome = error instanceof Absent ? 'absent' : 'failed'
    line.text = String(error.stack).slice(0, 2000)
  }
  line.milliseconds = Math.round(performance.now() - began)
  line.calls = recorder.take()
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

async function main(chapter) {
  lib.LoggerInstance.setLevel(lib.LogLevel.None)
  const recorder = new Recorder()
  const session = await openSession()
  for (const name of chapters[chapter]) await take(name, session, recorder)
  process.exit(0)
}

main(process.argv[2])
