'use strict'

// The system of the virtual machines: Debian's kernel, and what it starts with. Nothing of it is installed: the packages are
// unpacked below target/, where the system is kept for the next time.

const { spawnSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

const ROOT = path.resolve(__dirname, '../../..')
const FOLDER = path.join(ROOT, 'target/cluster/vm')

const PACKAGES = ['linux-image-cloud-amd64', 'nfs-kernel-server', 'nfs-common', 'cifs-utils', 'kmod', 'busybox-static']
const PROGRAMS = [
  ...['/bin/busybox', '/bin/kmod'],
  ...['/sbin/mount.nfs', '/sbin/mount.nfs4', '/sbin/mount.cifs'],
  ...['/usr/sbin/rpc.nfsd', '/usr/sbin/rpc.mountd', '/usr/sbin/exportfs', '/usr/sbin/nfsdcld'],
]
const MODULES = [
  ...['virtio_pci', 'virtio_net', 'nfs', 'nfsv4', 'nfsd', 'cifs'],
  // What cifs asks for when it mounts.
  ...['md5', 'cmac', 'hmac', 'ccm', 'gcm', 'ctr', 'seqiv', 'ecb', 'aes_generic', 'ghash-generic', 'gf128mul'],
  ...['sha256_generic', 'sha512_generic', 'des_generic'],
]

/** What the tests need of the package, and of themselves. */
const OWN = [
  ...['package.json', 'dist', `locket.linux-${process.arch}-gnu.node`],
  ...['__test__/support', '__test__/cluster'],
]

const sum = createHash('sha256').update(`${process.version}\n`).update(fs.readFileSync(__filename)).digest('hex')
const SYSTEM = path.join(FOLDER, `system-${sum.slice(0, 12)}.cpio`)
const KERNEL = path.join(FOLDER, 'kernel')
const IMAGE = path.join(FOLDER, 'initramfs.cpio')

function run(command, args, options) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    ...options,
  })
  if (error || status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`)
  return stdout
}

/** Unpacks the packages, and all that these need, into a folder. */
function unpack(folder) {
  const archives = path.join(FOLDER, 'archives')
  fs.mkdirSync(path.join(archives, 'partial'), { recursive: true })
  // As if nothing were installed: so everything comes that is needed.
  const options = ['Dir::State::status=/dev/null', `Dir::Cache::archives=${archives}`].flatMap((each) => ['-o', each])
  run('apt-get', ['install', '--download-only', '--yes', '--quiet', '--no-install-recommends', ...options, ...PACKAGES])
  for (const name of fs.readdirSync(archives).filter((each) => each.endsWith('.deb'))) {
    run('dpkg-deb', ['--extract', path.join(archives, name), folder])
  }
  fs.rmSync(archives, { recursive: true })
}

/** Copies a file with the folders above it. */
function copy(from, to) {
  fs.mkdirSync(path.dirname(to), { recursive: true })
  fs.copyFileSync(fs.realpathSync(from), to)
}

/** Packs a folder as the kernel wants it at its start. */
function pack(folder, file, busybox) {
  const output = fs.openSync(file, 'w')
  run('sh', ['-c', `find . | "${busybox}" cpio -o -H newc`], { cwd: folder, stdio: ['ignore', output, 'pipe'] })
  fs.closeSync(output)
}

/** Makes the system. */
function build() {
  console.log('Making the system of the virtual machines')
  const debian = path.join(FOLDER, 'debian')
  const system = path.join(FOLDER, 'system')
  for (const folder of [debian, system]) fs.rmSync(folder, { recursive: true, force: true })
  unpack(debian)

  const linker = '/lib64/ld-linux-x86-64.so.2'
  const librariesOf = (command, args) => run(command, args).match(/(?<==> )\/\S+/g) ?? []
  copy(path.join(debian, linker), path.join(system, linker))
  for (const program of PROGRAMS) {
    copy(path.join(debian, program), path.join(system, program))
    if (program === '/bin/busybox') continue
    for (const library of librariesOf('chroot', [debian, linker, '--list', program])) {
      copy(path.join(debian, library), path.join(system, library))
    }
  }
  for (const name of ['modprobe', 'depmod']) fs.symlinkSync('/bin/kmod', path.join(system, 'sbin', name))
  copy(process.execPath, path.join(system, 'usr/bin/node'))
  for (const library of librariesOf('ldd', [process.execPath])) {
    const to = path.join(system, library)
    if (!fs.existsSync(to)) copy(library, to)
  }

  const [version] = fs.readdirSync(path.join(debian, 'lib/modules'))
  run('chroot', [debian, 'depmod', version])
  const inserted = run('chroot', [debian, 'modprobe', '-S', version, '-a', '--show-depends', ...MODULES])
  for (const module of new Set(inserted.match(/(?<=^insmod )\S+/gm))) {
    copy(path.join(debian, module), path.join(system, module))
  }
  for (const name of ['modules.order', 'modules.builtin', 'modules.builtin.modinfo']) {
    copy(path.join(debian, 'lib/modules', version, name), path.join(system, 'lib/modules', version, name))
  }
  run('chroot', [system, '/sbin/depmod', version])

  for (const folder of ['proc', 'sys', 'dev', 'run', 'tmp', 'mnt', 'root']) fs.mkdirSync(path.join(system, folder))
  fs.mkdirSync(path.join(system, 'etc'), { recursive: true })
  fs.writeFileSync(path.join(system, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  fs.writeFileSync(path.join(system, 'etc/group'), 'root:x:0:\n')
  fs.writeFileSync(path.join(system, 'etc/hosts'), '127.0.0.1 localhost\n')
  for (const name of ['netconfig', 'protocols', 'services']) {
    copy(path.join(debian, 'etc', name), path.join(system, 'etc', name))
  }

  copy(path.join(debian, 'boot', `vmlinuz-${version}`), KERNEL)
  pack(system, `${SYSTEM}.new`, path.join(system, 'bin/busybox'))
  copy(path.join(system, 'bin/busybox'), path.join(FOLDER, 'busybox'))
  for (const folder of [debian, system]) fs.rmSync(folder, { recursive: true })
  fs.renameSync(`${SYSTEM}.new`, SYSTEM)
}

/** Makes the image that the virtual machines start with, as far as it is out of date. Returns why that is impossible, if so. */
function makeImage() {
  if (process.arch !== 'x64') return 'its virtual machines are for x64'
  try {
    if (!fs.existsSync(SYSTEM)) build()
  } catch (error) {
    return `the system of the virtual machines cannot be made: ${error.message.trim()}`
  }
  // The kernel unpacks one archive after the other.
  const own = path.join(FOLDER, 'own')
  fs.rmSync(own, { recursive: true, force: true })
  for (const name of OWN) fs.cpSync(path.join(ROOT, name), path.join(own, 'package', name), { recursive: true })
  fs.copyFileSync(path.join(__dirname, 'init'), path.join(own, 'init'))
  fs.chmodSync(path.join(own, 'init'), 0o755)
  pack(own, `${IMAGE}.own`, path.join(FOLDER, 'busybox'))
  fs.copyFileSync(SYSTEM, IMAGE)
  fs.appendFileSync(IMAGE, fs.readFileSync(`${IMAGE}.own`))
  return undefined
}

module.exports = { IMAGE, KERNEL, makeImage }
