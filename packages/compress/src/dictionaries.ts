import { isIP } from 'node:net'
import { type Body, type Reply, toBody, unhandled } from '@sluice/core'
import { type HeaderList, has, set } from '@sluice/headers'
import debug from 'debug'
import { availableDictionary } from './available-dictionary.js'
import { saidLength } from './body-length.js'
import { readWithoutDigests } from './decoded-fields.js'
import type { Dictionary } from './dictionary.js'
import { type DictionaryCoding, type DictionarySupport, dictionaryCoding } from './dictionary-coding.js'
import { encodeByDictionary } from './dictionary-encoder.js'
import { dictionaryFields, notModified, varyByDictionary } from './dictionary-fields.js'
import type { DictionarySettings, ReadyRule } from './dictionary-options.js'
import { DictionaryStore } from './dictionary-store.js'
import { dictionarySupport } from './dictionary-support.js'
import { KeptDictionary } from './kept-dictionary.js'
import type { PathPattern } from './path-pattern.js'
import { readableByClient } from './readable-by-client.js'
import { validatorOf, whyNoDictionary } from './use-as-dictionary.js'
import { whyNoDelta } from './why-no-delta.js'
import { isOfRequest } from './worth.js'

const log = debug('sluice:compress')

/** What is asked for, as the client sees it. */
export interface DictionaryRequest {
  readonly method: string
  readonly scheme: 'http' | 'https'
  readonly authority: string
  /** With its query, and with what a mount has taken from it. */
  readonly path: string
  readonly headers: HeaderList
}

/** What is known before the reply is. */
export interface DictionaryCase {
  readonly method: string
  readonly headers: HeaderList
  readonly origin: string
  readonly path: string
  /** By which the reply is to be a dictionary. */
  readonly rule: ReadyRule | undefined
  /** Some dictionary may be meant for this path, so replies are others to other clients. */
  readonly meant: boolean
  /** The client has one that is here too, and takes this coding. */
  readonly shared: { readonly dictionary: Dictionary; readonly coding: DictionaryCoding } | undefined
}

/** Shared dictionaries (RFC 9842), with no chain: which the client has, what is coded by it, which replies are new ones. */
export class Dictionaries {
  private readonly store: DictionaryStore
  private readonly meant: readonly PathPattern[]
  private can: DictionarySupport | undefined = undefined

  /**
   * @param settings as `resolveDictionaries` gives them
   * @param support what zlib can do; default what this Node's can, found by trying it. Asked at the first request that dictionaries are meant for
   */
  constructor(
    private readonly settings: DictionarySettings,
    private readonly support: () => DictionarySupport = dictionarySupport,
  ) {
    this.store = new DictionaryStore(settings, settings.given)
    this.meant = [...settings.rules, ...settings.given].map(({ match }) => match)
  }

  /**
   * Before the reply is there: which dictionary the client has that is here too.
   * @returns `undefined` where dictionaries have nothing to do with it
   */
  begin({ authority, headers, method, path: whole, scheme }: DictionaryRequest): DictionaryCase | undefined {
    if (method !== 'GET' && method !== 'HEAD') return undefined
    const query = whole.indexOf('?')
    const path = query === -1 ? whole : whole.slice(0, query)
    const rule = this.settings.rules.find((each) => each.path.matches(path))
    const meant = this.meant.some((each) => each.matches(path))
    if (!meant && rule === undefined) return undefined
    // RFC 9842 section 8: boxes on the way that know no such coding can't read inside TLS.
    if (scheme !== 'https' && !isLoopback(authority)) return undefined
    this.can ??= this.try()
    if (!this.can.dcb && !this.can.dcz) return undefined
    const origin = `${scheme}://${authority.toLowerCase()}`
    const hash = availableDictionary(headers)
    const dictionary = hash === undefined ? undefined : this.store.find(hash, origin, path)
    const coding = dictionary === undefined ? undefined : dictionaryCoding(headers, dictionary, this.can)
    const shared = dictionary === undefined || coding === undefined ? undefined : { dictionary, coding }
    return { method, headers, origin, path: whole, rule, meant, shared }
  }

  /**
   * The reply as a dictionary for later ones, where it is to be that: the field is set, and its bytes are kept as they flow.
   * @param authorized a layer further in has let the request in for who has made it, and may have taken off what says so
   */
  keep(
    { headers: requested, method, origin, path, rule }: DictionaryCase,
    reply: Reply,
    authorized = false,
  ): Reply {
    if (rule === undefined || isNone(reply)) return reply
    const no = readableByClient(requested, reply.headers)
      ? whyNoDictionary(method, requested, reply, this.settings.maxEntry, authorized)
      : 'unreadable'
    if (no !== undefined) {
      if (log.enabled) log('%s is no dictionary: %s', path, no)
      return reply
    }
    const headers = reply.headers.slice()
    // A target that sets it knows what for.
    if (!has(headers, 'use-as-dictionary')) set(headers, 'Use-As-Dictionary', rule.field)
    if (method === 'HEAD' || reply.body === null) return { ...reply, headers }
    const version = `${origin}${path} ${validatorOf(headers)}`
    const writer = this.store.writer(origin, version, rule.match, saidLength(method, reply))
    if (writer === undefined) return { ...reply, headers }
    // A stored form would be sent in the place of these bytes, and nobody would see them.
    const { variants: _unused, ...plain } = reply
    return { ...plain, headers, body: new KeptDictionary(toBody(reply.body) as Body, writer) }
  }

  /** The reply coded by the dictionary that is shared, where it may be; the fields that caches go by in any case. */
  code({ headers: requested, meant, method, path, shared }: DictionaryCase, reply: Reply): Reply {
    if (!meant || isNone(reply)) return reply
    const no = whyNoDelta(method, requested, reply)
    if (no === 'not-modified') return { ...reply, headers: notModified(requested, reply.headers) }
    if (no !== undefined && log.enabled && shared !== undefined)
      log('%s is not coded by a dictionary: %s', path, no)
    if (no !== undefined && (no === 'status' || !isOfRequest(no))) return reply
    if (no !== undefined || shared === undefined || !readableByClient(requested, reply.headers))
      return { ...reply, headers: varyByDictionary(reply.headers) }
    const { coding, dictionary } = shared
    const { variants, ...coded } = reply
    coded.headers = dictionaryFields(reply.headers, coding)
    if (coded.trailers !== undefined) coded.trailers = readWithoutDigests(coded.trailers)
    if (reply.body === null) return coded
    const source = toBody(reply.body) as Body
    const name = `${coding}:${dictionary.hash.slice(0, 22)}`
    const stored = variants?.get(name)
    if (stored === undefined)
      coded.body = encodeByDictionary(
        source,
        coding,
        dictionary,
        variants?.put(name),
        saidLength(method, reply),
      )
    else {
      source.cancel()
      coded.body = stored
    }
    return coded
  }

  private try(): DictionarySupport {
    const can = this.support()
    if (log.enabled && !can.dcb && !can.dcz)
      log('this Node (%s) has no codec that takes a dictionary: there are none', process.version)
    return can
  }
}

/** There is no response, or one whose bytes aren't a body. What is no reply at all the mount tells of. */
function isNone(reply: Reply): boolean {
  if (typeof reply !== 'object' || reply === null) return true
  return reply === unhandled || reply.socket !== undefined || reply.status < 200
}

/** Hosts that browsers trust without TLS, too (Secure Contexts, section 3.1). */
function isLoopback(authority: string): boolean {
  const host = authority.replace(/:\d*$/, '').toLowerCase()
  if (host === '[::1]' || host === 'localhost' || host.endsWith('.localhost')) return true
  return host.startsWith('127.') && isIP(host) === 4
}
