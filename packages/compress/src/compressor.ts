import { type Body, type BodyInit, discard, type Reply, toBody } from '@sluice/core'
import { getAll, type HeaderList } from '@sluice/headers'
import debug from 'debug'
import { BetterForms } from './better-forms.js'
import { lengthOf, saidLength } from './body-length.js'
import { codedFields, varyFields } from './coded-fields.js'
import type { Coding } from './coding.js'
import { collect } from './collect.js'
import { type CompressOptions, type CompressSettings, resolveCompress } from './compress-options.js'
import { readWithoutDigests } from './decoded-fields.js'
import { encodeOnce, onceAtMost } from './encode-once.js'
import { encodeBody } from './encoded-body.js'
import { isEventStream } from './event-stream.js'
import { Levels, levelRanges } from './level.js'
import { acceptEncodingOf, type Chosen, Negotiation } from './negotiate.js'
import { poolPressure } from './pool-probe.js'
import { asClient, asTarget } from './validators.js'
import { isNotWorthIt, isOfRequest, whyNot } from './worth.js'

const log = debug('sluice:compress')

/** What of a request a compressor looks at. */
export interface CompressRequest {
  readonly method: string
  readonly headers: HeaderList
}

/** A request as its client has sent it, and how it goes on. */
export interface AskedCoding extends CompressRequest {
  readonly accept: string | undefined
  /** Its fields with entity tags as the target knows them: the same list where nothing changes. */
  readonly forTarget: HeaderList
}

/**
 * Compresses answers, with no server and no chain: `ask` reads a request, `answer` makes of the answer what the client is to have.
 */
export class Compressor {
  readonly #settings: CompressSettings
  readonly #negotiation: Negotiation
  /** Of nothing but the plain body. */
  readonly #plain = new Negotiation([])
  readonly #levels: Levels
  readonly #better: BetterForms | undefined

  /** @param settings checked ones; of options {@link createCompressor} makes one */
  constructor(settings: CompressSettings) {
    this.#settings = settings
    this.#negotiation = new Negotiation(settings.encodings)
    this.#levels = new Levels(settings.level, poolPressure)
    this.#better = settings.best === false ? undefined : new BetterForms(poolPressure, settings.best)
  }

  /**
   * Reads what a client takes, before its request goes on.
   * @param alone the answer is this compressor's for sure, and no other's with other codings
   */
  ask({ method, headers }: CompressRequest, alone = true): AskedCoding {
    const accept = acceptEncodingOf(headers)
    return {
      method,
      headers,
      accept,
      forTarget: asTarget(headers, this.#settings.etag, this.#choose(accept), alone),
    }
  }

  /** Whether the client takes nothing that it could get, and is to hear so: see {@link notAcceptable}. */
  refuses({ accept }: AskedCoding): boolean {
    return this.#settings.unacceptable === 406 && this.#negotiation.choose(accept) === undefined
  }

  /** What the client is to have. It is coded while it flows; the target's reply is used up by it. */
  answer(asked: AskedCoding, reply: Reply): Reply | Promise<Reply> {
    const { accept, headers, method } = asked
    const { etag } = this.#settings
    const why = whyNot(method, headers, reply, this.#settings)
    if (why !== undefined && !(isNotWorthIt(why, method, reply) && this.#refusesPlain(accept))) {
      if (log.enabled) log('%s %d stays as it is: %s', method, reply.status, why)
      if (!isOfRequest(why)) return reply
      return withFields(reply, varyFields(reply.status === 304 ? this.#known(reply, asked) : reply.headers))
    }
    const coding = this.#choose(accept)
    if (coding === 'identity') return withFields(reply, varyFields(reply.headers))
    if (method === 'HEAD') {
      dropBody(reply)
      // RFC 9110 section 9.3.2: fields as of GET, but for those that only its bytes would tell.
      if (this.#mayBeSmall(reply, accept)) return { ...reply, headers: varyFields(reply.headers), body: null }
      return coded(reply, codedFields(reply.headers, coding, etag), null)
    }
    const { variants } = reply
    const form = variants?.get(coding)
    if (variants === undefined || form === undefined) return this.#code(reply, coding, accept)
    this.#better?.hit(variants, coding, reply.body)
    dropBody(reply)
    return coded(reply, codedFields(reply.headers, coding, etag, lengthOf(form)), form)
  }

  /** Where nothing is acceptable and that isn't said, the plain body goes out all the same. */
  #choose(accept: string | undefined): Chosen {
    return this.#negotiation.choose(accept) ?? 'identity'
  }

  /** Such a client gets a coding also of what isn't worth it. */
  #refusesPlain(accept: string | undefined): boolean {
    return this.#plain.choose(accept) === undefined
  }

  /** Whether GET would be coded or not by how many bytes come: a coding that isn't made must not get into a cache by HEAD. */
  #mayBeSmall(reply: Reply, accept: string | undefined): boolean {
    if (saidLength('HEAD', reply) !== undefined || this.#settings.threshold === 0) return false
    return !isEventStream(reply.headers) && !this.#refusesPlain(accept)
  }

  /** The fields of a 304 as its client knows them. */
  #known({ headers }: Reply, { accept, headers: requested }: AskedCoding): HeaderList {
    const tags = getAll(requested, 'if-none-match')
    if (tags.length === 0) return headers
    return asClient(headers, tags.join(', '), this.#settings.etag, this.#choose(accept))
  }

  #code(reply: Reply, coding: Coding, accept: string | undefined): Reply | Promise<Reply> {
    const { body, headers } = reply
    const size = saidLength('GET', reply)
    if (size === undefined ? isEventStream(headers) : size > onceAtMost)
      return this.#flowing(reply, coding, accept, body)
    const got = body instanceof Uint8Array ? body : collect(toBody(body) as Body, size)
    return got instanceof Uint8Array
      ? this.#once(reply, coding, accept, got)
      : this.#late(reply, coding, accept, got)
  }

  /** A short body, or one of unknown length, that isn't all there yet: the answer waits for it as long as nobody would notice. */
  async #late(
    reply: Reply,
    coding: Coding,
    accept: string | undefined,
    coming: Promise<Uint8Array | Body>,
  ): Promise<Reply> {
    const got = await coming
    return got instanceof Uint8Array
      ? this.#once(reply, coding, accept, got)
      : this.#flowing(reply, coding, accept, got)
  }

  #once(reply: Reply, coding: Coding, accept: string | undefined, bytes: Uint8Array): Reply {
    // Of a stream it shows only now that it is tiny.
    const isSmall = bytes.length < this.#settings.threshold && !this.#refusesPlain(accept)
    const level = isSmall ? undefined : this.#levelOf(coding, bytes.length, accept)
    if (level === undefined) return { ...reply, headers: varyFields(reply.headers), body: bytes }
    const whole = encodeOnce(bytes, coding, { level })
    reply.variants?.put(coding)?.end(whole)
    return coded(reply, codedFields(reply.headers, coding, this.#settings.etag, whole.length), whole)
  }

  #flowing(reply: Reply, coding: Coding, accept: string | undefined, body: BodyInit): Reply {
    const { headers, variants } = reply
    const size = saidLength('GET', { body, headers })
    const level = this.#levelOf(coding, size, accept)
    if (level === undefined) {
      if (log.enabled) log('sent plain: the thread pool is behind')
      return { ...reply, headers: varyFields(headers), body }
    }
    // Of events nobody knows how many will come: where it is said they are there.
    const flush = size === undefined && isEventStream(headers) ? 'event' : 'pause'
    const flowing = encodeBody(body, coding, {
      level,
      size,
      length: size,
      flush,
      tee: variants?.put(coding),
    })
    return coded(reply, codedFields(headers, coding, this.#settings.etag), flowing)
  }

  /** `undefined`: better sent plain. */
  #levelOf(coding: Coding, size: number | undefined, accept: string | undefined): number | undefined {
    const level = this.#levels.of(coding, size)
    return level === undefined && this.#refusesPlain(accept) ? levelRanges[coding][0] : level
  }
}

/**
 * A compressor as an engine.
 * @param path where the options stand in what the user wrote
 * @throws TypeError that names the option
 */
export function createCompressor(options: CompressOptions = {}, path = 'compress'): Compressor {
  return new Compressor(resolveCompress(options, path))
}

/** For a client that takes neither a coding nor the plain body (RFC 9110 section 12.5.3). */
export function notAcceptable(): Reply {
  return {
    status: 406,
    headers: ['Content-Type', 'text/plain; charset=utf-8', 'Vary', 'Accept-Encoding'],
    body: '406 Not Acceptable\n',
  }
}

/** The reply may be its handler's to give again: it isn't changed. */
function withFields(reply: Reply, headers: HeaderList): Reply {
  return headers === reply.headers ? reply : { ...reply, headers }
}

/** The same with other bytes: what was kept of the plain ones is none of these. */
function coded({ reason, status, trailers }: Reply, headers: HeaderList, body: BodyInit): Reply {
  const reply: Reply = { status, headers, body }
  if (reason !== undefined) reply.reason = reason
  if (trailers !== undefined) reply.trailers = readWithoutDigests(trailers)
  return reply
}

/** Of what isn't sent the source is let go. */
function dropBody(reply: Reply): void {
  if (typeof reply.body === 'object' && !(reply.body instanceof Uint8Array)) discard(reply)
}
