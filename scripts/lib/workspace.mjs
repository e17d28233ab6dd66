// What the workspace consists of, read from its own files.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '')

/** A path inside the checkout. */
export const at = (...parts) => join(root, ...parts)

/** @typedef {{ dir: string, name: string, manifest: Record<string, any> }} Member */

/** Every member of the workspace but the root itself, as pnpm-workspace.yaml lists them. @returns {Member[]} */
export function members() {
  return globs()
    .flatMap((glob) => (glob.endsWith('/*') ? folders(glob.slice(0, -2)) : [glob]))
    .filter((dir) => existsSync(at(dir, 'package.json')))
    .map((dir) => {
      const manifest = JSON.parse(readFileSync(at(dir, 'package.json'), 'utf8'))
      return { dir, name: manifest.name, manifest }
    })
}

/** The member of that name and all that it stands on. @returns {Member[]} */
export function closure(name, all = members()) {
  const found = new Map()
  const visit = (wanted) => {
    const member = all.find((one) => one.name === wanted)
    if (member === undefined || found.has(wanted)) return
    found.set(wanted, member)
    for (const dependency of Object.keys(member.manifest.dependencies ?? {})) visit(dependency)
  }
  visit(name)
  return [...found.values()]
}

/** One digest of these files' names and contents; a missing file counts as such. */
export function digest(files) {
  const hash = createHash('sha256')
  for (const file of [...files].sort()) {
    hash.update(`\0${file}\0`)
    if (existsSync(at(file))) hash.update(readFileSync(at(file)))
  }
  return hash.digest('hex')
}

/**
 * All files below a folder of the checkout, as paths inside the checkout. Leaves out what is installed, and folders whose
 * name begins with a dot: tools and tests put passing things there.
 * @returns {string[]}
 */
export function filesBelow(dir) {
  if (!existsSync(at(dir))) return []
  return readdirSync(at(dir), { withFileTypes: true }).flatMap((entry) => {
    const path = dir === '.' ? entry.name : `${dir}/${entry.name}`
    if (entry.isFile()) return [path]
    const passing = entry.name === 'node_modules' || /^\.(?!ci$|changeset$|github$)/.test(entry.name)
    return entry.isDirectory() && !passing ? filesBelow(path) : []
  })
}

function globs() {
  const yaml = readFileSync(at('pnpm-workspace.yaml'), 'utf8')
  const list = /^packages:\n((?: +- .*\n)+)/m.exec(yaml)?.[1] ?? ''
  return list.split('\n').flatMap((line) => line.replace(/^ +- /, '').replaceAll(/['"]/g, '').trim() || [])
}

function folders(parent) {
  if (!existsSync(at(parent))) return []
  return readdirSync(at(parent), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${parent}/${entry.name}`)
}
