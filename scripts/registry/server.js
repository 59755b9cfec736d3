'use strict'

// A process that is a registry (see start.js), on a free port of this machine, which knows no other registry to ask.
// argv: the file of verdaccio. It talks by messages, and ends, with all that is in its folder, when nobody listens.

const fs = require('node:fs')
const http = require('node:http')
const os = require('node:os')
const path = require('node:path')

const ALL = { access: '$all', publish: '$all', unpublish: '$all' }

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-registry-')))
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }))
process.on('disconnect', () => process.exit())
// A Ctrl-C is for all processes of the terminal. The end of the one that uses this one is the end of this one.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})

/** What has been answered since it was last asked for. */
let answered = []
/** The packages that nobody may publish. */
let refused = []

function listen(verdaccio) {
  const [answer] = verdaccio.listeners('request')
  const server = http.createServer((request, response) => {
    const url = decodeURIComponent(request.url)
    response.on('finish', () => {
      answered.push({ method: request.method, url, status: response.statusCode })
    })
    if (request.method === 'PUT' && refused.includes(url.slice(1))) return response.writeHead(403).end('{}')
    answer(request, response)
  })
  // A connection stays, however long the one who asks is busy: else it may be closed just as it is used again.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1', () => {
    process.send({ folder, url: `http://127.0.0.1:${server.address().port}/` })
  })
}

process.on('message', (message) => {
  if (message.refuse) refused = message.refuse
  process.send({ answered })
  answered = []
})

const { runServer } = require(process.argv[2])
runServer({
  configPath: path.join(folder, 'config.yaml'),
  storage: path.join(folder, 'storage'),
  uplinks: {},
  packages: { '**': ALL },
  web: { enable: false },
  max_body_size: '1gb',
  log: { type: 'stdout', level: 'fatal' },
}).then(listen)
