'use strict'

// Programs and libraries of other systems, taken from Debian's packages: unpacked into a folder, not installed. The
// sources of this machine are asked, for another release and other processors; nothing of its own state is changed.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

/** The release whose musl runs the Node that there is for it (1.2.5; 1.2.3 is too old). */
const RELEASE = 'trixie'
const ARCHS = ['amd64', 'arm64']
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** Runs a program, and returns what it prints. Throws if it fails. */
function output(command, args, options) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr}`)
  return stdout
}

/** Where this machine gets the packages of its own release. */
function archive() {
  const [release] = output('sh', ['-c', '. /etc/os-release && echo "$VERSION_CODENAME"']).split('\n')
  const format = ['--format', '$(REPO_URI) $(CODENAME) $(COMPONENT)']
  const sources = output('apt-get', ['indextargets', ...format, 'Created-By: Packages']).split('\n')
  const source = sources.map((line) => line.split(' ')).find(([, name, part]) => name === release && part === 'main')
  if (!source) throw new Error('apt-get has no source of packages of Debian')
  return source[0]
}

/** Settings and state of an apt-get of our own, in `folder`. Its environment. */
function settings(folder) {
  for (const name of ['etc/preferences.d', 'state/lists/partial', 'cache/archives/partial']) {
    fs.mkdirSync(path.join(folder, name), { recursive: true })
  }
  fs.writeFileSync(path.join(folder, 'state/status'), '')
  fs.writeFileSync(path.join(folder, 'etc/sources.list'), `deb [signed-by=${KEYRING}] ${archive()} ${RELEASE} main\n`)
  const config = path.join(folder, 'apt.conf')
  fs.writeFileSync(
    config,
    [
      `Dir::Etc "${folder}/etc";`,
      `Dir::State "${folder}/state";`,
      `Dir::State::status "${folder}/state/status";`,
      `Dir::Cache "${folder}/cache";`,
      `APT::Architectures { ${ARCHS.map((arch) => `"${arch}";`).join(' ')} };`,
      'Acquire::Languages "none";',
      '',
    ].join('\n'),
  )
  return { ...process.env, APT_CONFIG: config }
}

/** Unpacks packages, such as "libc6:arm64", each time into the folder of the key. Throws if they cannot be had. */
function unpack(wanted, folder) {
  const env = settings(folder)
  output('apt-get', ['update', '-qq'], { env })
  const packages = path.join(folder, 'packages')
  for (const [into, names] of Object.entries(wanted)) {
    fs.rmSync(packages, { recursive: true, force: true })
    fs.mkdirSync(packages)
    output('apt-get', ['download', '-qq', ...names], { env, cwd: packages })
    for (const name of fs.readdirSync(packages)) output('dpkg-deb', ['--extract', path.join(packages, name), into])
  }
}

module.exports = { unpack }
