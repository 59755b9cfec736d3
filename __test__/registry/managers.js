'use strict'

// The package managers: how each one is told to install by name, and to run what was installed.

/** The settings of Yarn 4, which reads nothing of npm's. */
const yarn = (nodeLinker) => (npmRegistryServer) => ({
  '.yarnrc.yml': {
    nodeLinker,
    // For PnP alone, and by itself only in a project whose own files are ES modules.
    pnpEnableEsmLoader: true,
    npmRegistryServer,
    unsafeHttpWhitelist: ['127.0.0.1'],
    enableScripts: false,
    enableTelemetry: false,
    // It may be set to leave young versions alone.
    npmMinimalAgeGate: 0,
  },
})

/**
 * - `add`, `exec`: a tool (scripts/registry/install.js) and its arguments, before the name of a package that is to be added,
 *   and before a command of an installed package.
 * - `node`: the same before what Node is to run, if Node alone does not find what is installed.
 * - `knowsLibc`: does it heed `libc` in a package.json?
 * - `fetchesAll`: does it download what does not fit, too, to leave it in its cache?
 * - `settings`: the files in a project with what its owner has set, by the URL of the registry. As JSON, which is YAML.
 */
const MANAGERS = {
  npm: {
    add: ['npm', 'install'],
    exec: ['npx', '--offline'],
    knowsLibc: true,
  },
  pnpm: {
    add: ['pnpm', 'add', '--ignore-scripts'],
    exec: ['pnpm', 'exec'],
    knowsLibc: true,
    // It leaves versions alone that are younger than a day.
    settings: () => ({ 'pnpm-workspace.yaml': { minimumReleaseAge: 0, updateNotifier: false } }),
  },
  'yarn 1': {
    add: ['yarn 1', 'add', '--ignore-scripts', '--non-interactive'],
    exec: ['yarn 1', '--silent', 'run'],
    knowsLibc: false,
    fetchesAll: true,
  },
  'yarn 4': {
    add: ['yarn 4', 'add'],
    exec: ['yarn 4', 'run'],
    knowsLibc: true,
    settings: yarn('node-modules'),
  },
  'yarn 4 with PnP': {
    add: ['yarn 4', 'add'],
    exec: ['yarn 4', 'run'],
    knowsLibc: true,
    settings: yarn('pnp'),
    node: ['yarn 4', 'node'],
  },
}

module.exports = { MANAGERS }
