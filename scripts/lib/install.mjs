// The packages from the registry, by pnpm, with the lock file as it stands.
// Scope 'start': what the quickstart needs to be built and run. Scope 'all': everything, which serves 'start' too.
import { existsSync } from 'node:fs'
import { npm } from './npm.mjs'
import { interruptCode } from './run.mjs'
import { readStamp, writeStamp } from './stamp.mjs'
import { at, closure, digest, members } from './workspace.mjs'

const pnpm = 'pnpm@10.34.9'

/** Whether node_modules holds what the lock file says, for that scope. */
export function isInstalled(scope) {
  const stamp = readStamp('install')
  if (stamp === undefined || stamp.state !== state()) return false
  if (stamp.scope !== 'all' && stamp.scope !== scope) return false
  return (scope === 'all' ? members() : closure('quickstart')).every(hasModules)
}

/** Installs that scope. */
export async function install(scope) {
  // A quick install over a full one would take the development tools away.
  const wanted = scope === 'all' || existsSync(at('node_modules', 'vitest')) ? 'all' : 'start'
  // pnpm installs the root's dependencies too, whatever the filter says; these are development dependencies all.
  const which = wanted === 'all' ? ['--prod=false'] : ['--prod', '--filter', 'quickstart...']
  // exec: what ends npx ends pnpm too, where a shell in between would leave it behind.
  const command = ['exec', 'pnpm', 'install', '--frozen-lockfile', ...which].join(' ')
  const { code } = await npm('npx', ['--yes', '--prefer-offline', '--package', pnpm, '-c', command])
  if (code === 0) {
    writeStamp('install', { scope: wanted, state: state() })
  } else if (interruptCode() === undefined) {
    console.error(
      `\nInstalling failed (${pnpm}, exit code ${code}; its own words are above). Check the network and npm's registry setting and run ` +
        `this again; if the lock file is said to be outdated: npx --yes ${pnpm} install`,
    )
  }
  return { code }
}

function state() {
  const manifests = members().map(({ dir }) => `${dir}/package.json`)
  const files = ['.npmrc', 'package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests]
  return `${process.platform}-${process.arch}-${digest(files)}`
}

function hasModules({ dir, manifest }) {
  const names = Object.keys(manifest.dependencies ?? {})
  return names.every((name) => existsSync(at(dir, 'node_modules', name)))
}
