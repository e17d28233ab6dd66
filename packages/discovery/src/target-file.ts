import { createRequire } from 'node:module'
import { fault, quote } from '@sluice/options'
import { createTarget, type TargetInit } from '@sluice/upstream'
import { jsonLines } from './json-lines.js'

const require = createRequire(import.meta.url)

/** How a file of targets is written. */
export type FileFormat = 'json' | 'yaml'

/** Faults that are told one by one. */
const mostFaults = 10

/** What a text holds, and where in it each thing stands. */
interface Document {
  readonly value: unknown
  /** The line of a path; undefined if it isn't known. */
  lineOf(path: string): number | undefined
}

/**
 * The targets that a text lists: a list, or an object whose `targets` is one.
 * @param name the file's, for errors
 * @throws TypeError with file, line and what is wrong, a line for each of the first ten faults
 */
export function readTargetFile(text: string, format: FileFormat, name: string): TargetInit[] {
  // A byte order mark is no part of the content (RFC 8259 section 8.1 lets a reader ignore it).
  const content = text.replace(/^\uFEFF/, '')
  const document = format === 'json' ? readJson(content, name) : readYaml(content, name)
  const { value } = document
  const bare = Array.isArray(value)
  const list = bare ? value : (value as { targets?: unknown } | null)?.targets
  const complain = (faults: readonly string[]): never => {
    const told = faults.slice(0, mostFaults).map((each) => `${placed(name, document, each)}: ${each}`)
    if (faults.length > mostFaults) told.push(`and ${faults.length - mostFaults} more faults`)
    throw new TypeError(told.join('\n'))
  }
  if (!Array.isArray(list))
    return complain([fault('targets', quote(list), "a list of URLs such as ['http://127.0.0.1:3000']")])
  const unknown = bare ? [] : Object.keys(value as object).filter((key) => key !== 'targets')
  const faults = unknown.map((key) => `${key}: unknown option`)
  const seen = { url: new Map<string, string>(), id: new Map<string, string>() }
  list.forEach((init: TargetInit, index) => {
    const path = `${bare ? '' : 'targets'}[${index}]`
    try {
      const target = createTarget(init, path)
      for (const key of ['url', 'id'] as const) {
        const other = seen[key].get(target[key])
        if (other !== undefined) {
          faults.push(
            `${path}: got ${JSON.stringify(target[key])} again, as in ${other}; takes each target once`,
          )
          break
        }
        seen[key].set(target[key], path)
      }
    } catch (error) {
      faults.push(...(error as Error).message.split('\n'))
    }
  })
  return faults.length > 0 ? complain(faults) : list
}

/** `file:line` of the path that a fault begins with, or of what is around it. */
function placed(name: string, document: Document, fault: string): string {
  let path = fault.slice(0, Math.max(fault.indexOf(': '), 0))
  for (;;) {
    const line = document.lineOf(path)
    if (line !== undefined) return `${name}:${line}`
    if (path === '') return name
    path = path.replace(/(^|\.)[^.[\]]+$|\[\d+\]$|.$/, '')
  }
}

function readJson(text: string, name: string): Document {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // What the parser says quotes what is around, and that may be a key.
    throw new TypeError(`${name}:${jsonLines(text).fault ?? 1}: this is no JSON`)
  }
  let lines: ReadonlyMap<string, number> | undefined
  return {
    value,
    lineOf(path) {
      lines ??= jsonLines(text).lines
      return lines.get(path)
    },
  }
}

/** Nobody pays for it who has no YAML. */
export function loadYaml(): typeof import('yaml') {
  return require('yaml') as typeof import('yaml')
}

/** YAML 1.2, its core schema: no tags that make anything but plain values, and aliases within bounds. */
function readYaml(text: string, name: string): Document {
  const { LineCounter, isNode, parseDocument } = loadYaml()
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, logLevel: 'error' })
  const [wrong] = document.errors
  if (wrong !== undefined)
    throw new TypeError(`${name}:${counter.linePos(wrong.pos[0]).line}: ${wrong.message}`)
  let value: unknown
  try {
    value = document.toJS()
  } catch (error) {
    // Aliases that would grow without end.
    throw new TypeError(`${name}: ${(error as Error).message}`)
  }
  return {
    value,
    lineOf(path) {
      const keys = [...path.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([key, index]) =>
        index === undefined ? key : Number(index),
      )
      const node = keys.length === 0 ? document.contents : document.getIn(keys, true)
      const start = isNode(node) ? node.range?.[0] : undefined
      return start === undefined ? undefined : counter.linePos(start).line
    },
  }
}
