'use strict'

// A service whose jobs are named by its users. Of each name one job runs at a time, over all processes of the service.
//
//   node examples/named-jobs.js              in one terminal
//   node examples/named-jobs.js 8001         in another one: the same service on another port
//
//   curl -X POST 'http://localhost:8000/backup of Jo'              runs the job
//   curl -X POST 'http://localhost:8001/backup of Jo'              409: it runs already
//   curl -X POST 'http://localhost:8001/backup of Jo?wait=60'      waits for it, for up to a minute, and runs it again
//   curl http://localhost:8001/                                    lists the jobs
//
// A client that hangs up before its job has begun is forgotten. If a process is killed, its jobs are free at once.

const { once } = require('node:events')
const http = require('node:http')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { LockManager, LockTimeoutError } = require('@locket/native')

// Use a folder of your own program, which only its user may write to.
const locks = new LockManager(path.join(os.tmpdir(), 'named-jobs'))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  // How long a job pretends to work, in seconds.
  options: { takes: { type: 'string', default: '10' } },
})

/** Any name is the name of a lock, except that it must not begin with '-'. */
const PREFIX = 'job: '

/** The job itself. */
async function work(name) {
  await sleep(Number(values.takes) * 1000)
  return `${name}: done by process ${process.pid}`
}

/** Runs the job of this name, unless it runs already and `wait` seconds are too short. Resolves to what is answered. */
async function runJob(name, wait, signal) {
  try {
    const text = await locks.request(PREFIX + name, { timeout: wait * 1000, signal }, () => work(name))
    return { status: 200, text }
  } catch (error) {
    if (error instanceof LockTimeoutError) return { status: 409, text: `${name}: runs already` }
    throw error
  }
}

/** Resolves to the names of the jobs that run, and of those that wait, with the process (and thread) of each. */
async function listJobs() {
  const { held, pending } = await locks.query()
  const lines = (infos, state) =>
    infos
      .filter((info) => info.name.startsWith(PREFIX))
      .map((info) => `${info.name.slice(PREFIX.length)}: ${state} in ${info.clientId}`)
  return { status: 200, text: [...lines(held, 'runs'), ...lines(pending, 'waits')].join('\n') }
}

/** Resolves to the answer to a request. `signal` fires when the client hangs up. */
async function answer({ method, url }, signal) {
  try {
    const { pathname, searchParams } = new URL(url, 'http://localhost')
    const name = decodeURIComponent(pathname.slice(1))
    if (method === 'POST' && name !== '') return await runJob(name, Number(searchParams.get('wait') ?? 0), signal)
    if (method === 'GET' && name === '') return await listJobs()
    return { status: 404, text: 'POST /NAME runs a job, GET / lists the jobs' }
  } catch (error) {
    // A name that is not well encoded, or a time that is none.
    if (error instanceof URIError || error instanceof RangeError) return { status: 400, text: error.message }
    if (!signal.aborted) console.error(error)
    return { status: 500, text: 'failed' }
  }
}

async function main() {
  const server = http.createServer(async (request, response) => {
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const { status, text } = await answer(request, gone.signal)
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`)
  })
  server.listen(Number(positionals[0] ?? 8000))
  await once(server, 'listening')
  console.log(`Process ${process.pid} listens on port ${server.address().port}`)
}

main()
