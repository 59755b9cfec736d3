'use strict'

// Locks on volumes that only Windows and macOS can make, and by paths that only they have. Nobody has run these yet.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../../..')
const { temporaryFolder } = require('../../support/folders.js')
const { holderOf } = require('../../support/processes.js')
const { unavailable } = require('../../support/systems.js')
const { eventually, staysPending } = require('../../support/waiting.js')

/** Paths of one file are one lock: whoever has it by one of them excludes all others, until they are killed. */
async function areOneLock(t, ...paths) {
  for (const [n, file] of paths.entries()) {
    const holder = await holderOf(t, file)
    for (const other of paths) assert.equal(await lockFile(other).tryAcquire(), false, other)
    const wait = lockFile(paths.at(n - 1)).acquire()
    assert.ok(await staysPending(wait))
    await holder.kill()
    ;(await eventually(wait, 'the lock')).release()
  }
  await lockFile(paths[0], { removeOnRelease: true }).run(() => {})
  assert.equal(fs.existsSync(paths[0]), false)
}

/** The path of a file in a folder whose names are one for the system: it looks neither at case nor at how é is written. */
const spellings = (folder) => ['lock-\u00e9', 'LOCK-\u00c9', 'lock-e\u0301'].map((name) => path.join(folder, name))

describe('on Windows', { skip: process.platform !== 'win32' && 'only on Windows' }, () => {
  test('a folder and a junction to it', async (t) => {
    const folder = temporaryFolder(t)
    const [real, junction] = ['real', 'junction'].map((name) => path.join(folder, name))
    fs.mkdirSync(real)
    fs.symlinkSync(real, junction, 'junction')
    await areOneLock(t, path.join(real, 'test.lock'), path.join(junction, 'test.lock'))
  })

  test('a folder and its path by the network (UNC)', async (t) => {
    const folder = temporaryFolder(t)
    const shared = `\\\\localhost\\${folder.replace(':', '$')}`
    if (!fs.existsSync(shared)) return unavailable(t, 'the drive is not shared with administrators')
    await areOneLock(t, path.join(folder, 'test.lock'), path.join(shared, 'test.lock'))
  })

  for (const format of ['-DevDrive', '-FileSystem ReFS', '-FileSystem exFAT']) {
    test(`a volume that Format-Volume makes with ${format}`, async (t) => {
      const disk = path.join(temporaryFolder(t), 'disk.vhdx')
      const powershell = (command) =>
        execFileSync('powershell', ['-NoProfile', '-Command', `$ErrorActionPreference = 'Stop'; ${command}`], {
          encoding: 'utf8',
          env: { ...process.env, DISK: disk },
        })
      const steps = [
        // Of its size only what is used takes space. Below 50 GB there is no Dev Drive.
        'New-VHD -Path $env:DISK -Dynamic -SizeBytes 60GB',
        'Mount-VHD -Passthru',
        'Initialize-Disk -Passthru',
        'New-Partition -AssignDriveLetter -UseMaximumSize',
        `Format-Volume ${format} -Confirm:$false -Force`,
      ]
      let letter
      try {
        letter = powershell(`(${steps.join(' | ')}).DriveLetter`).trim()
      } catch (error) {
        return unavailable(t, error.stderr ?? error.message)
      } finally {
        t.after(() => fs.existsSync(disk) && powershell('Dismount-VHD -Path $env:DISK'))
      }
      await areOneLock(t, ...['test.lock', 'TEST.LOCK'].map((name) => `${letter}:\\${name}`))
    })
  }
})

describe('on macOS', { skip: process.platform !== 'darwin' && 'only on macOS' }, () => {
  /** A folder with a new file system, as hdiutil calls it. */
  function volume(t, type) {
    const folder = temporaryFolder(t)
    const [image, at] = [path.join(folder, 'image.dmg'), path.join(folder, 'volume')]
    fs.mkdirSync(at)
    const hdiutil = (...args) => execFileSync('hdiutil', args, { stdio: ['ignore', 'ignore', 'inherit'] })
    hdiutil('create', '-size', '64m', '-fs', type, '-volname', 'LOCKET', image)
    hdiutil('attach', '-nobrowse', '-mountpoint', at, image)
    t.after(() => hdiutil('detach', '-force', at))
    return at
  }

  test('FAT', async (t) => {
    const folder = volume(t, 'MS-DOS FAT32')
    // Files without content have no place on FAT, by which it would tell them apart.
    const [lock, other] = ['a', 'b'].map((name) => lockFile(path.join(folder, name)))
    await lock.acquire()
    assert.equal(await other.tryAcquire(), true)
    lock.release()
    other.release()
    await areOneLock(t, path.join(folder, 'test.lock'), path.join(folder, 'TEST.LOCK'))
  })

  test('APFS', async (t) => areOneLock(t, ...spellings(volume(t, 'APFS'))))

  test('APFS that looks at case: names of another case are other locks', async (t) => {
    const [lower, upper, decomposed] = spellings(volume(t, 'Case-sensitive APFS'))
    await areOneLock(t, lower, decomposed)
    const lock = await lockFile(lower).acquire()
    assert.equal(await lockFile(upper).tryAcquire(), true)
    lock.release()
  })
})
