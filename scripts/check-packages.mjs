// Looks at each package as npm would publish it, with publint and are-the-types-wrong, in one process for all.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { checkPackage, Package } from '@arethetypeswrong/core'
import { filterProblems } from '@arethetypeswrong/core/problems'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { at, members } from './lib/workspace.mjs'

// ESM only: what the resolution of Node 10 makes of it is nobody's concern, nor what `require` does, unless there is a file for it.
const resolutionsOf = ({ exports }) => [
  'node16-esm',
  'bundler',
  ...(exports['.'].require === undefined ? [] : ['node16-cjs']),
]

const packages = members().filter(({ manifest }) => manifest.private !== true)
const faults = []

for (const [index, packed] of (await pack(packages)).entries()) {
  const { dir, name, manifest } = packages[index]
  const files = packed.files.map(({ path }) => ({ path, data: readFileSync(at(dir, path)) }))
  const shown = files.map(({ path, data }) => ({ name: `package/${path}`, data }))
  const { messages, pkg } = await publint({ pkgDir: 'package', strict: true, pack: { files: shown } })
  for (const message of messages)
    faults.push(`${name}: publint: ${formatMessage(message, pkg, { color: false })}`)
  const tree = Object.fromEntries(files.map(({ path, data }) => [`/node_modules/${name}/${path}`, data]))
  const analysis = await checkPackage(new Package(tree, name, manifest.version), { entrypoints: ['.'] })
  if (!analysis.types) faults.push(`${name}: attw: no types`)
  for (const resolutionKind of analysis.types ? resolutionsOf(manifest) : []) {
    for (const { kind } of filterProblems(analysis, { resolutionKind })) {
      faults.push(`${name}: attw: ${kind} (${resolutionKind})`)
    }
  }
}

for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0

/** What `npm pack` would take along, for all packages in one call. */
async function pack(list) {
  const args = ['pack', '--dry-run', '--json', ...list.map(({ dir }) => `./${dir}`)]
  const options = { cwd: at('.'), maxBuffer: 1 << 26, shell: process.platform === 'win32' }
  const { stdout } = await promisify(execFile)('npm', args, options)
  return JSON.parse(stdout)
}
