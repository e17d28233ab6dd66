// TypeScript to dist, by `tsc -b`, skipped where no source has changed.
import { existsSync, rmSync, statSync } from 'node:fs'
import { tool } from './run.mjs'
import { readStamp, writeStamp } from './stamp.mjs'
import { at, closure, digest, filesBelow, members } from './workspace.mjs'

/** Whether dist holds what the sources say, for that scope. */
export function isBuilt(scope) {
  const stamp = readStamp('build') ?? {}
  return projects(scope).every((dir) => stamp[dir] === state(dir) && missing(dir).length === 0)
}

/** Builds that scope. */
export async function build(scope) {
  const dirs = projects(scope)
  for (const dir of dirs) {
    for (const file of orphans(dir)) rmSync(at(file))
    // tsc asks its own notes what is up to date, and would not see that an output is gone.
    if (missing(dir).length > 0) rmSync(notes(dir), { force: true })
  }
  const [target, from] =
    scope === 'all' ? ['tsconfig.json', '.'] : ['examples/quickstart', 'examples/quickstart']
  const { code } = await tool('typescript', ['-b', target], { from, bin: 'tsc' })
  if (code === 0) {
    writeStamp('build', {
      ...readStamp('build'),
      ...Object.fromEntries(dirs.map((dir) => [dir, state(dir)])),
    })
  }
  return { code }
}

function projects(scope) {
  const wanted = scope === 'all' ? members() : closure('quickstart')
  return wanted.map(({ dir }) => dir).filter((dir) => existsSync(at(dir, 'tsconfig.json')))
}

function sources(dir) {
  return filesBelow(`${dir}/src`).filter((file) => /\.c?ts$/.test(file) && !/\.(test|test-d)\.ts$/.test(file))
}

/** Where a source is built to: `.ts` becomes `.js`, and `.cts` becomes `.cjs`. */
const builtTo = (dir, source) => `${dir}/dist${source.slice(`${dir}/src`.length).replace(/ts$/, 'js')}`

function missing(dir) {
  return sources(dir).filter((source) => !source.endsWith('.d.ts') && !existsSync(at(builtTo(dir, source))))
}

/** What was built from sources that are gone: it would be published, and tests could still import it. */
function orphans(dir) {
  const built = new Set(sources(dir).map((source) => builtTo(dir, source)))
  return filesBelow(`${dir}/dist`).filter(
    (file) => !built.has(file.replace(/\.map$/, '').replace(/\.d\.(c?)ts$/, '.$1js')),
  )
}

function notes(dir) {
  return at('.build', `${dir.replace(/^packages\//, '').replace(/^examples\//, 'example-')}.tsbuildinfo`)
}

/** The sources, and the time of tsc's notes: a build by hand in between makes ours look again. */
function state(dir) {
  const built = statSync(notes(dir), { throwIfNoEntry: false })?.mtimeMs ?? 0
  return `${built}-${digest([...sources(dir), `${dir}/tsconfig.json`, 'tsconfig.base.json', 'pnpm-lock.yaml'])}`
}
