import { getAll, parseAuthority } from '@sluice/headers'
import { fault, longestMatched } from '@sluice/options'
import { oneSpelling, readPath, segmentsOf } from './path-pattern.js'
import type { RouteMatch } from './route-match.js'

/** What of a request decides its route. */
export interface RoutedRequest {
  readonly method: string
  /** Host, with or without port. */
  readonly authority: string
  /** Request-target; a query doesn't count. */
  readonly path: string
  readonly headers: readonly string[]
}

/** A route found. */
export interface Found<T> {
  readonly value: T
  /** What stood at the path's parameters, as it came. */
  readonly params: Readonly<Record<string, string>>
}

/** Finds the most specific route of a request; `undefined` if none takes it. Never throws. */
export type Router<T> = (request: RoutedRequest) => Found<T> | undefined

/** A route among those of one path, with what it asks beyond host and path. */
interface Rule<T> {
  readonly value: T
  readonly order: number
  readonly methods: ReadonlySet<string> | undefined
  readonly headers: readonly (readonly [name: string, condition: string | RegExp])[]
  readonly params: readonly (readonly [name: string, segment: number])[]
}

/** Rules of one place each by what they ask, while they are declared. */
type Declared<T> = Map<Rule<T>[], Map<string, Rule<T>>>

/** Routes by path segments: literal ones first, then the parameter, then what ends here. */
interface Node<T> {
  readonly literals: Map<string, Node<T>>
  parameter: Node<T> | undefined
  /** `=/x` */
  readonly exact: Rule<T>[]
  /** `/x` */
  readonly prefix: Rule<T>[]
}

function node<T>(): Node<T> {
  return { literals: new Map(), parameter: undefined, exact: [], prefix: [] }
}

/**
 * Makes a router. The most specific match counts, whatever the order of declaration: an exact host before a wildcard (the
 * longer before the shorter) before any; then literal segments before parameters, a longer path before a shorter, an exact
 * one before a prefix; then a named method; then more header conditions.
 * @throws TypeError if two routes take just the same requests, naming both, or one names a host twice
 */
export function createRouter<T>(routes: readonly { match: RouteMatch; value: T }[]): Router<T> {
  const hosts = new Map<string, Node<T>>()
  const wildcards = new Map<string, Node<T>>()
  const anyHost = node<T>()
  /** The length of the longest name behind a `*.`: no suffix beyond it can be one. */
  let longest = 0
  const declared: Declared<T> = new Map()
  routes.forEach(({ match, value }, order) => {
    for (const name of listOf(match.host) ?? ['']) {
      const lower = name.toLowerCase()
      const wildcard = lower.startsWith('*.')
      if (wildcard) longest = Math.max(longest, lower.length - 2)
      const tree =
        lower === '' ? anyHost : treeFor(wildcard ? wildcards : hosts, wildcard ? lower.slice(2) : lower)
      insert(tree, match, value, order, declared)
    }
  })
  for (const rules of declared.keys())
    rules.sort((a, b) => specificity(b) - specificity(a) || a.order - b.order)
  return (request) => {
    const segments = segmentsOf(request.path)
    const host = hosts.size === 0 && longest === 0 ? '' : hostOf(request.authority)
    const exact = hosts.get(host)
    const found = exact === undefined ? undefined : search(exact, segments, request)
    if (found !== undefined) return found
    // The name itself isn't below the wildcard's; the longest suffix comes first.
    let dot = longest === 0 ? -1 : host.indexOf('.', host.length - longest - 1)
    for (; dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const tree = wildcards.get(host.slice(dot + 1))
      const below = tree === undefined ? undefined : search(tree, segments, request)
      if (below !== undefined) return below
    }
    return search(anyHost, segments, request)
  }
}

/** The name alone; the dot of the root at its end is the same name (RFC 3986 section 3.2.2). */
function hostOf(authority: string): string {
  const host = parseAuthority(authority)?.host ?? ''
  return host.endsWith('.') ? host.slice(0, -1) : host
}

function treeFor<T>(trees: Map<string, Node<T>>, host: string): Node<T> {
  let tree = trees.get(host)
  if (tree === undefined) {
    tree = node()
    trees.set(host, tree)
  }
  return tree
}

function insert<T>(tree: Node<T>, match: RouteMatch, value: T, order: number, declared: Declared<T>): void {
  const { exact, segments, params } = readPath(match.path ?? '/')
  let at = tree
  for (const segment of segments) {
    if (segment === undefined) {
      at.parameter ??= node()
      at = at.parameter
    } else {
      at = treeFor(at.literals, segment)
    }
  }
  const methods = listOf(match.method)
  const rule: Rule<T> = {
    value,
    order,
    methods: methods === undefined ? undefined : new Set(methods),
    headers: Object.entries(match.headers ?? {}).map(
      // A copy: where it stands is no affair of an expression that others use too.
      ([name, condition]) =>
        [name.toLowerCase(), typeof condition === 'string' ? condition : new RegExp(condition)] as const,
    ),
    params,
  }
  const rules = exact ? at.exact : at.prefix
  const others = declared.get(rules) ?? new Map<string, Rule<T>>()
  const asked = signature(rule)
  const twin = others.get(asked)
  if (twin?.order === order)
    throw new TypeError(fault(`routes[${order}].host`, 'the same host twice', 'each one once'))
  if (twin !== undefined) {
    throw new TypeError(
      `routes[${order}]: takes just the requests of routes[${twin.order}], which never get here`,
    )
  }
  rules.push(rule)
  declared.set(rules, others.set(asked, rule))
}

function signature<T>({ methods, headers }: Rule<T>): string {
  const fields = headers.map(([name, condition]) => [name, String(condition), typeof condition])
  return JSON.stringify([methods === undefined ? null : [...methods].sort(), fields.sort()])
}

function specificity<T>({ methods, headers }: Rule<T>): number {
  return (methods === undefined ? 0 : 1_000) + headers.length
}

/**
 * Walks down, literal segments before parameters, and takes on the way back the first rule whose other conditions hold: so
 * the longest path counts. How often it branches is bounded by the parameters that were declared, not by the request.
 */
function search<T>(
  at: Node<T>,
  segments: readonly string[],
  request: RoutedRequest,
  depth = 0,
): Found<T> | undefined {
  const segment = segments[depth]
  if (segment === undefined) return take(at.exact, segments, request) ?? take(at.prefix, segments, request)
  const literal = at.literals.get(oneSpelling(segment))
  const found = literal === undefined ? undefined : search(literal, segments, request, depth + 1)
  if (found !== undefined) return found
  // An empty segment is no parameter's value: /users/ names no user.
  if (at.parameter !== undefined && segment !== '') {
    const other = search(at.parameter, segments, request, depth + 1)
    if (other !== undefined) return other
  }
  return take(at.prefix, segments, request)
}

const nothing: Readonly<Record<string, string>> = Object.freeze({})

function take<T>(
  rules: readonly Rule<T>[],
  segments: readonly string[],
  request: RoutedRequest,
): Found<T> | undefined {
  for (const rule of rules) {
    if (!holds(rule, request)) continue
    if (rule.params.length === 0) return { value: rule.value, params: nothing }
    const params: Record<string, string> = Object.create(null)
    for (const [name, segment] of rule.params) params[name] = segments[segment] ?? ''
    return { value: rule.value, params }
  }
  return undefined
}

function holds<T>({ methods, headers }: Rule<T>, request: RoutedRequest): boolean {
  if (methods !== undefined && !methods.has(request.method)) return false
  for (const [name, condition] of headers) {
    const values = getAll(request.headers, name)
    if (
      typeof condition === 'string'
        ? !values.includes(condition)
        : !values.some((value) => test(condition, value))
    ) {
      return false
    }
  }
  return true
}

/** With a global or sticky expression the second test would begin where the first has ended. */
function test(condition: RegExp, value: string): boolean {
  if (value.length > longestMatched) return false
  condition.lastIndex = 0
  return condition.test(value)
}

function listOf(value: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof value === 'string' ? [value] : value
}
