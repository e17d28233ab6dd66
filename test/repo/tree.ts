import { readFileSync } from 'node:fs'
import { at, filesBelow, members } from '../../scripts/lib/workspace.mjs'

export interface Package {
  /** As in DESIGN's floors: `core`, `sluice`. */
  readonly short: string
  readonly name: string
  readonly dir: string
  readonly manifest: Record<string, unknown> & {
    dependencies?: Record<string, string>
    devDependencies?: Record<string, string>
  }
}

/** The packages that get published. */
export const packages: Package[] = members()
  .filter(({ dir }) => dir.startsWith('packages/'))
  .map((member) => ({ ...member, short: member.dir.slice('packages/'.length) }))

/** The sources of a package, its tests left out, as paths inside the checkout. */
export function sourcesOf({ dir }: Package): string[] {
  return filesBelow(`${dir}/src`).filter((file) => /\.c?ts$/.test(file) && !/\.test(-d)?\.ts$/.test(file))
}

/** A file of the checkout. */
export function read(file: string): string {
  return readFileSync(at(file), 'utf8')
}

/** Whatever a person wrote: every file but what is built or measured. */
export function writtenFiles(): string[] {
  return filesBelow('.').filter((file) => !/(^|\/)(dist|coverage)\/|^test\/bench\/results\//.test(file))
}

/** The pages that people read. */
export function documents(): string[] {
  return writtenFiles().filter((file) => /^(README\.md|packages\/[^/]+\/README\.md|docs\/.*\.md)$/.test(file))
}

export interface Import {
  readonly from: string
  /** What is used at run time; `*` for all of it. Empty: types alone, or a side effect. */
  readonly values: readonly string[]
}

const clause = String.raw`\*(?:\s+as\s+\w+)?|\{[^}]*\}|\w+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+\w+))?`
const statement = new RegExp(String.raw`^(?:import|export)\s+(type\s+)?(${clause})\s+from\s+'([^']+)'`, 'gm')
const bare = /^import\s+'([^']+)'/gm
const dynamic = /\b(?:import|require)\(\s*'([^']+)'\s*\)/g

/** What a source imports, re-exports included. */
export function importsOf(source: string): Import[] {
  const found: Import[] = []
  for (const [, type, names = '', from = ''] of source.matchAll(statement)) {
    found.push({ from, values: type === undefined ? valuesOf(names) : [] })
  }
  for (const [, from = ''] of source.matchAll(bare)) found.push({ from, values: [] })
  for (const [, from = ''] of source.matchAll(dynamic)) found.push({ from, values: ['*'] })
  return found
}

function valuesOf(names: string): string[] {
  if (!names.startsWith('{')) return ['*']
  return names
    .slice(1, -1)
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('type '))
    .map((name) => name.split(/\s+as\s+/)[0] ?? name)
}

/** The package that a module specifier names; undefined for a file or one of Node's own modules. */
export function packageOf(from: string): string | undefined {
  if (from.startsWith('.') || from.startsWith('node:')) return undefined
  const [scope = '', name] = from.split('/')
  return scope.startsWith('@') ? `${scope}/${name}` : scope
}
