// What is asked for, and what is promised for it.
import { contentOf } from './contents.mjs'

/** How many client connections the promises are for. */
export const promisedAt = 50

/**
 * A request is GET over HTTP/1.1 without TLS, over a kept connection, answered with a length, where nothing else is said.
 * - `what`: a request in words
 * - `method`; `up` and `down`: bytes of its body and of the answer's
 * - `front`: what clients speak: `http`, `https`, `h2` (over TLS) or `websocket`
 * - `content` of the answer (lib/contents.mjs), in which those that compress are to code it with `coding`
 * - `chunks`: the answer has no length and comes in so many, with a pause of `pause` ms between them
 * - `kept`: whether the client's connection serves the next request too
 * - `resumed`: each connection but the first ones resumes the TLS session of an earlier one
 * - `status` of the answer, and `fields` of the request
 * - `control`: `Cache-Control` of the origin's answer, which then has a validator too (`etag`)
 * - `distinct`: each request is for another path
 * - `flood`: it is asked for so many times as often as it can be answered (lib/flood.mjs)
 * - `who` is measured where nobody is named, if not everybody
 * - `unit`: what is counted
 * - `goals`: a contender's CPU over another one's, at most
 */
const plain = {
  method: 'GET',
  up: 0,
  down: 100,
  front: 'http',
  content: 'plain',
  coding: undefined,
  chunks: 0,
  pause: 0,
  kept: true,
  resumed: false,
  status: 200,
  fields: {},
  control: undefined,
  distinct: false,
  flood: 0,
  who: undefined,
  unit: 'request',
  goals: [],
}

/** The validator of what may be cached. */
export const etag = '"sluice-bench"'

/** A small answer that may be cached, asked for again and again. */
const hit = { ...plain, control: 'max-age=86400' }

/** The same, over paths that nobody has asked for before. */
const miss = { ...hit, distinct: true }

/** For those that compress. All of them are set to gzip at level 6. */
const gzip = {
  ...plain,
  coding: 'gzip',
  fields: { 'Accept-Encoding': 'gzip' },
  who: ['express-compression', 'sluice-compress', 'nginx-gzip', 'sluice-proxy-compress'],
}

const hitGoals = [{ contender: 'sluice-cache', against: 'floor', atMost: 1.25 }]

export const scenarios = {
  'get-100b': {
    ...plain,
    what: '100 bytes down',
    goals: [
      { contender: 'sluice-forward', against: 'undici-bare', atMost: 0.9 },
      { contender: 'sluice-forward', against: 'nginx', atMost: 2.2 },
      { contender: 'sluice-undici', against: 'undici-bare', atMost: 1.1 },
      { contender: 'sluice-proxy', against: 'undici-bare', atMost: 1.25 },
      { contender: 'sluice-proxy', against: 'http-proxy-keepalive', atMost: 0.7 },
      { contender: 'sluice-proxy-rules', against: 'sluice-proxy', atMost: 1.03 },
      { contender: 'sluice-proxy-resilient', against: 'undici-bare', atMost: 1.25 },
      { contender: 'sluice-proxy-hedge', against: 'sluice-proxy-resilient', atMost: 1.1 },
      { contender: 'sluice-http-proxy', against: 'http-proxy-keepalive', atMost: 0.75 },
    ],
  },
  'get-10kb': { ...plain, what: '10 KB down', down: 10_000 },
  'get-1mb': {
    ...plain,
    what: '1 MB down',
    down: 1_000_000,
    goals: [{ contender: 'sluice-forward', against: 'undici-bare', atMost: 0.85 }],
  },
  'put-1mb': {
    ...plain,
    what: '1 MB up, 100 bytes down',
    method: 'PUT',
    up: 1_000_000,
    goals: [{ contender: 'sluice-forward', against: 'undici-bare', atMost: 0.85 }],
  },
  'post-10kb': { ...plain, what: '10 KB up, 100 bytes down', method: 'POST', up: 10_000 },
  chunked: { ...plain, what: '10 KB down without a length, in 5 chunks', down: 10_000, chunks: 5 },
  tls: {
    ...plain,
    what: '100 bytes down, TLS to the client over kept connections',
    front: 'https',
    goals: [{ contender: 'sluice-proxy', against: 'sluice-proxy-plain', atMost: 1.25 }],
    who: [
      ...['floor-plain', 'floor', 'nginx', 'haproxy'],
      ...['sluice-proxy-plain', 'sluice-proxy', 'http-proxy-keepalive'],
    ],
  },
  'tls-storm': {
    ...plain,
    what: '100 bytes down over a new TLS connection each',
    front: 'https',
    kept: false,
    who: ['nginx', 'floor', 'sluice-tls', 'sluice-proxy'],
    goals: [{ contender: 'sluice-tls', against: 'floor', atMost: 1.1 }],
  },
  'tls-resumed': {
    ...plain,
    what: '100 bytes down over a new TLS connection each, which resumes a session',
    front: 'https',
    kept: false,
    resumed: true,
    who: ['nginx', 'floor', 'sluice-tls', 'sluice-proxy'],
    goals: [{ contender: 'sluice-tls', against: 'floor', atMost: 1.1 }],
  },
  h2: {
    ...plain,
    what: '100 bytes down, HTTP/2 over TLS to the client, 10 streams a connection',
    front: 'h2',
  },
  websocket: {
    ...plain,
    what: 'a WebSocket message of 100 bytes and its echo, over an open connection',
    up: 100,
    front: 'websocket',
    unit: 'message',
  },
  connect: { ...plain, what: '100 bytes down over a new client connection each', kept: false },
  'hit-100b': { ...hit, what: '100 bytes down, out of a cache', goals: hitGoals },
  'hit-10kb': { ...hit, what: '10 KB down, out of a cache', down: 10_000, goals: hitGoals },
  'hit-304': {
    ...hit,
    what: 'a 304 to a conditional request, out of a cache',
    status: 304,
    fields: { 'If-None-Match': etag },
    goals: hitGoals,
  },
  'miss-stored': {
    ...miss,
    what: '100 bytes down that a cache does not have and keeps, another path each time',
    goals: [{ contender: 'sluice-cache', against: 'sluice-proxy', atMost: 1.15 }],
  },
  'miss-uncached': {
    ...miss,
    what: '100 bytes down that a cache may not keep, another path each time',
    control: 'no-store',
  },
  'gzip-json-10kb': {
    ...gzip,
    what: '10 KB of JSON down, compressed',
    down: 10_000,
    content: 'json',
    goals: [{ contender: 'sluice-compress', against: 'express-compression', atMost: 0.8 }],
  },
  'gzip-html-1mb': { ...gzip, what: '1 MB of HTML down, compressed', down: 1_000_000, content: 'html' },
  'gzip-off': {
    ...gzip,
    what: '10 KB of an image down, which is not worth compressing',
    down: 10_000,
    content: 'image',
    coding: undefined,
    who: ['nginx', 'nginx-gzip', 'sluice-proxy', 'sluice-proxy-compress'],
    goals: [{ contender: 'sluice-proxy-compress', against: 'sluice-proxy', atMost: 1.03 }],
  },
  'hit-coded': {
    ...gzip,
    what: '10 KB of JSON down, compressed once, out of a cache',
    down: 10_000,
    content: 'json',
    control: 'max-age=86400',
    who: ['sluice-cache', 'sluice-cache-compress'],
    goals: [{ contender: 'sluice-cache-compress', against: 'sluice-cache', atMost: 1.1 }],
  },
  'first-byte': {
    ...gzip,
    what: '2 KB of JSON down in 5 parts, 50 ms between them',
    down: 2000,
    content: 'json',
    chunks: 5,
    pause: 50,
    who: [
      'nginx',
      'nginx-gzip',
      'sluice-proxy',
      'sluice-proxy-compress',
      'sluice-compress',
      'express-compression',
    ],
  },
  flood: {
    ...plain,
    what: '100 bytes down after 20 ms, of an app that works for each request',
    chunks: 2,
    pause: 20,
    flood: 10,
    who: ['sluice-proxy-work', 'sluice-proxy-shed'],
    goals: [{ contender: 'sluice-proxy-shed', atMost: 3 }],
  },
}

/** A body of so many bytes. Text without quotes, so that it can stand in a configuration file. */
export function bodyOf(size) {
  return contentOf('plain', size)
}

/** The body of a scenario's answer. */
export function answerOf({ content, down }) {
  return contentOf(content, down)
}

/** The answer's body as the origin writes it: in one piece, or in the chunks of the scenario. */
export function piecesOf(scenario) {
  const { down, chunks } = scenario
  const body = answerOf(scenario)
  const size = Math.ceil(down / Math.max(chunks, 1))
  return Array.from({ length: Math.ceil(down / size) }, (_, i) => body.slice(i * size, (i + 1) * size))
}
