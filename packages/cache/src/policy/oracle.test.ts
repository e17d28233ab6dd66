import fc from 'fast-check'
import CachePolicy from 'http-cache-semantics'
import { describe, expect, it } from 'vitest'
import { ageField, currentAge } from './age.js'
import { freshness } from './freshness.js'
import { life } from './life.js'
import { requestDirectives } from './request-directives.js'
import { responseDirectives } from './response-directives.js'
import { reuse } from './reuse.js'
import { isUnderstood } from './status-codes.js'
import { storable } from './storable.js'
import { policyDefaults } from './types.js'

/**
 * Another implementation, http-cache-semantics, is asked the same. Where it says something else, one of the rules below has to say why,
 * and a rule that explains nothing has to go.
 */
const came = Date.UTC(2026, 5, 1, 12)
const at = (seconds: number) => new Date(came + seconds * 1000).toUTCString()

let clock = came
class Oracle extends CachePolicy {
  /** Its types are older than it. */
  declare evaluateRequest: (request: CachePolicy.Request) => { readonly response?: object }
  now() {
    return clock
  }
}

type Fields = Record<string, string>

interface Case {
  readonly method: string
  readonly first: Fields
  readonly status: number
  readonly response: Fields
  readonly second: Fields
  /** Seconds between the response and the second request. */
  readonly later: number
}

const list = (fields: Fields) => Object.entries(fields).flat()

/** What both are asked about, looked at once. */
function seen(one: Case) {
  const response = { status: one.status, headers: list(one.response) }
  const stored = { ...response, requestTime: came, responseTime: came }
  const now = came + one.later * 1000
  const said = responseDirectives(response, policyDefaults)
  const lifetime = freshness(stored, policyDefaults, said)
  const lives = life(stored, policyDefaults)
  const ask = requestDirectives(list(one.second))
  const age = currentAge(stored, now)
  const isFresh = age < lifetime.lifetime
  const cc = one.response['cache-control'] ?? ''
  return {
    ...one,
    said,
    lifetime,
    lives,
    ask,
    age,
    isFresh,
    cc,
    asked: one.second['cache-control'] ?? '',
    now,
    stored,
  }
}
type Seen = ReturnType<typeof seen>

interface Rule {
  /** What we say where this rule is why we differ. */
  readonly ours: boolean
  readonly when: (one: Seen) => boolean
}

/** What the other one reads otherwise in `Cache-Control`, whatever comes of it. */
const noCase: Rule['when'] = ({ cc, asked, first }) => /[A-Z]/.test(cc + asked + first['cache-control'])
const firstOfTwo: Rule['when'] = ({ cc, asked }) =>
  [cc, asked].some((text) => /(max-?age|max-stale).*\1/i.test(text))

/** The statuses that the other one stores. */
const known = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501])

const whetherToStore: Record<string, Rule> = {
  'names of directives have no case (RFC 9111 section 5.2)': { ours: false, when: noCase },
  'nor have those that allow': { ours: true, when: noCase },
  'what is quoted is no directive (RFC 9110 section 5.6.4)': {
    ours: true,
    when: ({ cc }) => /"[^"]*,/.test(cc),
  },
  'a HEAD has no body to store (RFC 9110 section 9.3.2)': {
    ours: false,
    when: ({ method }) => method === 'HEAD',
  },
  'a POST is stored where its answer says it is what a GET would get (RFC 9110 section 9.3.3)': {
    ours: false,
    when: ({ method }) => method === 'POST',
  },
  'any final status may be stored that is said to be fresh (RFC 9111 section 3)': {
    ours: true,
    when: ({ status, lifetime, said }) =>
      !known.has(status) && (/age|expires/.test(lifetime.by) || said.public),
  },
  'what can never be fresh, nor validated, nor served stale is of no use': {
    ours: false,
    when: ({ lifetime, lives }) =>
      lifetime.lifetime === 0 && !lives.hasValidator && lives.staleWhileRevalidate === 0,
  },
  'what must be validated and can not be is of no use': {
    ours: false,
    when: ({ said, lives }) => said.noCache && !lives.hasValidator,
  },
  'Vary: * never matches (RFC 9111 section 4.1)': {
    ours: false,
    when: ({ response }) => response['vary'] === '*',
  },
  'cookies are for one client, unless it is said how long they are fresh': {
    ours: false,
    when: ({ response, lifetime }) =>
      'set-cookie' in response && !(/age|expires/.test(lifetime.by) && lifetime.lifetime > 0),
  },
  'private with names is about those fields (RFC 9111 section 5.2.2.7)': {
    ours: true,
    when: ({ said, cc }) => /private="/.test(cc) && !said.private,
  },
  'must-understand takes the place of no-store (RFC 9111 section 5.2.2.3)': {
    ours: true,
    when: ({ said, status }) => said.mustUnderstand && said.noStore && isUnderstood(status),
  },
  '451 may be stored without more (RFC 7725 section 3)': { ours: true, when: ({ status }) => status === 451 },
}

const whetherToServe: Record<string, Rule> = {
  'names of directives have no case (RFC 9111 section 5.2)': { ours: true, when: noCase },
  'nor have those that forbid': { ours: false, when: noCase },
  'the first of two counts (RFC 9111 section 4.2.1)': { ours: true, when: firstOfTwo },
  'and so it does where it is the lesser': { ours: false, when: firstOfTwo },
  'blanks around = leave no number (RFC 9111 section 5.2)': {
    ours: false,
    when: ({ cc }) => / =|= /.test(cc),
  },
  'a number is digits alone (RFC 9111 section 1.2.2)': {
    ours: false,
    when: ({ cc }) => /=\d+[a-z.]/.test(cc),
  },
  'below zero it is none, so that it takes nothing off the time for which a stale one may be served': {
    ours: true,
    when: ({ cc, said }) => /=-\d/.test(cc) && said.staleWhileRevalidate !== undefined,
  },
  'must-revalidate speaks of stale responses (RFC 9111 section 5.2.2.2)': {
    ours: true,
    when: ({ said, isFresh }) => said.mustRevalidate && isFresh,
  },
  'proxy-revalidate speaks of stale responses (RFC 9111 section 5.2.2.8)': {
    ours: true,
    when: ({ said, isFresh }) => said.proxyRevalidate && isFresh,
  },
  'cookies are shared where it is said how long they are fresh': {
    ours: true,
    when: ({ response }) => 'set-cookie' in response,
  },
  'Pragma means nothing in a response (RFC 9111 section 5.4)': {
    ours: true,
    when: ({ response }) => 'pragma' in response,
  },
  'Pragma means nothing beside Cache-Control (RFC 9111 section 5.4)': {
    ours: true,
    when: ({ second }) => 'pragma' in second && 'cache-control' in second,
  },
  'no-cache with names is about those fields (RFC 9111 section 5.2.2.4)': {
    ours: true,
    when: ({ cc, said }) => /no-cache="/.test(cc) && !said.noCache,
  },
  'a Date before makes a response older (RFC 9111 section 4.2.3)': {
    ours: false,
    when: ({ response }) => Date.parse(response['date'] ?? '') < came,
  },
  'immutable lengthens nothing (RFC 8246 section 2)': {
    ours: false,
    when: ({ said, lifetime }) => said.immutable && !/age/.test(lifetime.by),
  },
  'immutable outlasts a reload (RFC 8246 section 2.1)': {
    ours: true,
    when: ({ said, ask, isFresh }) => said.immutable && isFresh && ask.maxAge !== undefined,
  },
  'what must be validated is never stale for a while (RFC 9111 section 4.2.4)': {
    ours: false,
    when: ({ lives, said, ask }) =>
      lives.revalidate !== 'no' && (said.staleWhileRevalidate !== undefined || ask.maxStale !== undefined),
  },
  'who says how old it may be wants none that is stale (RFC 9111 section 5.2.1.1)': {
    ours: false,
    when: ({ ask, isFresh, said }) =>
      !isFresh &&
      said.staleWhileRevalidate !== undefined &&
      (ask.maxAge !== undefined || ask.minFresh !== undefined),
  },
  'max-stale is up to and with its last second (RFC 9111 section 5.2.1.2)': {
    ours: true,
    when: ({ ask, age, lifetime }) => age - lifetime.lifetime === (ask.maxStale ?? -1) * 1000,
  },
  'max-age=0 asks for one that was just validated': {
    ours: false,
    when: ({ ask, age }) => ask.maxAge === 0 && age === 0,
  },
  'a max-age that is no number asks for nothing': {
    ours: true,
    when: ({ asked }) => asked.includes('max-age=x'),
  },
  'Age is digits alone (RFC 9111 section 5.1)': {
    ours: true,
    when: ({ response, stored }) => 'age' in response && ageField(stored.headers) === undefined,
  },
  'and below zero it makes nothing younger': {
    ours: false,
    when: ({ response }) => response['age']?.[0] === '-',
  },
  'dates are read strictly (RFC 9110 section 5.6.7)': {
    ours: false,
    when: ({ response }) => /2026-/.test(`${response['expires']} ${response['date']}`),
  },
  'a Date is read strictly too': {
    ours: true,
    when: ({ response }) => response['date']?.startsWith('2026-') === true,
  },
  'heuristics reach a day at most': {
    ours: false,
    when: ({ lifetime, later }) => lifetime.by === 'heuristic' && later >= 24 * 60 * 60,
  },
}

const pick = <T>(...values: T[]) => fc.constantFrom(...values)
const maybe = (name: string, value: fc.Arbitrary<string>, weight = 1) =>
  fc.oneof(
    { arbitrary: fc.constant({}), weight: 5 },
    { arbitrary: value.map((text) => ({ [name]: text })), weight },
  )
const fields = (...parts: fc.Arbitrary<object>[]): fc.Arbitrary<Fields> =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all) as Fields)

const directive = pick(
  ...'max-age=60|max-age=60|max-age=60|max-age=60|max-age=0|max-age=3600|max-age="60"|max-age|Max-Age=60'.split(
    '|',
  ),
  ...'max-age=60x|max-age=-5|max-age=1.5|max-age =60|max-age= 60|max-age=x|s-maxage=60|s-maxage=0'.split('|'),
  ...'public|private|no-store|No-Store|no-cache|private="x"|no-cache="x"|x="a, no-store, b"'.split('|'),
  ...'must-revalidate|proxy-revalidate|immutable|must-understand|x=1|stale-while-revalidate=60'.split('|'),
)
const cacheControl = fc.array(directive, { minLength: 1, maxLength: 3 }).map((all) => all.join(', '))
const asking = pick(
  ...'no-cache|no-store|max-age=0|max-age=60|max-age=600|max-age=x|min-fresh=30|max-stale|max-stale=30|x'.split(
    '|',
  ),
)
const asked = fc.array(asking, { minLength: 1, maxLength: 2 }).map((all) => all.join(', '))

const cases: fc.Arbitrary<Case> = fc.record({
  method: pick('GET', 'GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT'),
  first: fields(
    maybe('authorization', pick('Basic x')),
    maybe('cache-control', pick('no-store', 'no-cache', 'No-Store')),
  ),
  status: pick(200, 200, 200, 204, 301, 302, 307, 404, 403, 410, 451, 500, 503, 599, 304, 206),
  response: fields(
    maybe('cache-control', cacheControl, 6),
    maybe('expires', pick(at(60), at(-60), at(3600), '0', '2026-06-01T12:05:00Z')),
    maybe('date', pick(at(0), at(0), at(-40), at(40), 'x', '2026-06-01T12:05:00Z')),
    maybe('last-modified', pick(at(-600), at(-36_000), at(-9_000_000), 'x', at(60))),
    maybe('age', pick('0', '30', '90', 'x', '-50', '70.5', '5, 90')),
    maybe('etag', pick('"a"', 'W/"a"')),
    maybe('set-cookie', pick('a=b')),
    maybe('vary', pick('foo', '*')),
    maybe('pragma', pick('no-cache')),
  ),
  second: fields(maybe('cache-control', asked, 6), maybe('pragma', pick('no-cache', 'x'))),
  later: fc.oneof(pick(0, 20, 30, 59, 60, 61, 89, 90, 100_000), fc.nat(300)),
})

function oracleOf(one: Case): Oracle {
  clock = came
  return new Oracle(
    { method: one.method, url: '/', headers: one.first },
    { status: one.status, headers: one.response },
    { shared: true },
  )
}

/** Names of the rules that say why we differ; `undefined` where we don't. */
function reasons(
  rules: Record<string, Rule>,
  one: Seen,
  ours: boolean,
  theirs: boolean,
): string[] | undefined {
  if (ours === theirs) return undefined
  return Object.keys(rules).filter((name) => rules[name]?.ours === ours && rules[name]?.when(one))
}

function reasonsToStore(one: Seen): string[] | undefined {
  const request = { method: one.method, headers: list(one.first) }
  const ours = storable(request, one.stored, policyDefaults, came) === undefined
  return reasons(whetherToStore, one, ours, oracleOf(one).storable())
}

/** Of what both store, by a GET. */
function reasonsToServe(one: Seen): string[] | undefined {
  const request = { method: 'GET', headers: list(one.first) }
  const oracle = oracleOf({ ...one, method: 'GET' })
  if (storable(request, one.stored, policyDefaults, came) !== undefined || !oracle.storable())
    return undefined
  clock = one.now
  const theirs = oracle.evaluateRequest({ method: 'GET', url: '/', headers: one.second })
  const ours = reuse(one.lives, one.ask, one.now).use !== 'validate'
  return reasons(whetherToServe, one, ours, theirs.response !== undefined)
}

describe('beside http-cache-semantics', () => {
  it.each([
    ['stores', reasonsToStore],
    ['serves', reasonsToServe],
  ])('%s the same, or says why not', (_name, ask) => {
    fc.assert(
      fc.property(cases, (one) => {
        expect(ask(seen(one)), 'why we differ').not.toEqual([])
      }),
      { numRuns: 4000 },
    )
  })

  it('needs each of its rules', () => {
    const alone = new Set<string>()
    const plain = { method: 'GET', first: {}, status: 200, second: {}, later: 30 }
    const reload = { 'cache-control': 'max-age=0' }
    // What chance seldom brings about.
    const rare: Case[] = [
      { ...plain, response: { 'cache-control': 'max-age=60, no-store, must-understand' } },
      { ...plain, response: { 'cache-control': 'max-age=60, immutable' }, second: reload },
      { ...plain, response: { 'cache-control': 'max-age=-5, stale-while-revalidate=60' }, later: 59 },
      {
        ...plain,
        response: { 'cache-control': 'max-age=60, stale-while-revalidate=60' },
        second: { 'cache-control': 'max-age=600' },
        later: 90,
      },
      { ...plain, response: { expires: at(60), date: '2026-06-01T12:05:00Z' } },
      {
        ...plain,
        response: { 'cache-control': 'max-age=60' },
        second: { 'cache-control': 'max-stale=30' },
        later: 90,
      },
    ]
    for (const one of [...fc.sample(cases, { numRuns: 15_000, seed: 9110 }), ...rare].map(seen))
      for (const found of [reasonsToStore(one), reasonsToServe(one)])
        if (found?.length === 1) alone.add(found[0] as string)
    const rules = [...Object.keys(whetherToStore), ...Object.keys(whetherToServe)]
    expect(rules.filter((name) => !alone.has(name))).toEqual([])
  })
})
