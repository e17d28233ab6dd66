import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createServer, type Server } from 'node:tls'
import { promisify } from 'node:util'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { handTimers } from '../../../test/kit/hand-timers.js'
import {
  type OcspBehaviour,
  type OcspResponder,
  ocspAnswerOf,
  ocspResponder,
} from '../../../test/kit/ocsp-responder.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { type X509Issuer, type X509Pair, x509Root } from '../../../test/kit/x509.js'
import type { OcspFetch } from './ocsp-fetch.js'
import { type OcspStapler, type OcspStaplerOptions, ocspStapler } from './ocsp-stapler.js'
import type { OcspEvent } from './tell-ocsp.js'

const ocsp = 'http://ocsp.test/'
const warnings = warningsOf('SluiceWarning')
let root: X509Issuer
let plain: X509Pair
let must: X509Pair
beforeAll(async () => {
  root = await x509Root()
  plain = await root.issue({ names: ['plain.test'], ocsp })
  must = await root.issue({ names: ['must.test'], ocsp, mustStaple: true })
})

describe('ocspStapler', () => {
  trapUnhandled()
  const own = owner()
  let faults: OcspEvent[] = []
  afterEach(() => {
    faults = []
  })

  const good: OcspFetch = async (_, question) => ocspAnswerOf(question, root)
  function rig(options: OcspStaplerOptions = {}) {
    const hand = handTimers()
    const asked: (() => void)[] = []
    const given = options.fetch ?? good
    const fetch: OcspFetch = (...args) => {
      for (const each of asked.splice(0)) each()
      return given(...args)
    }
    const onFault = (event: OcspEvent): void => void faults.push(event)
    const stapler = ocspStapler({ onFault, random: () => 0, ...options, fetch }, '', hand.after)
    own({ close: () => stapler[Symbol.dispose]() })
    return { stapler, hand, nextQuestion: () => new Promise<void>((resolve) => asked.push(resolve)) }
  }
  const staple = (stapler: OcspStapler, pair: X509Pair = plain) => stapler.staple(pair.der, root.der)

  it('gives nothing at first, and what the responder has answered from then on', async () => {
    const { stapler } = rig()
    expect(await staple(stapler)).toBeUndefined()
    const found = await until(() => staple(stapler), 'a staple')
    expect(Buffer.isBuffer(found)).toBe(true)
    expect(await staple(stapler)).toBe(found)
  })

  it('makes nobody wait for a certificate that need not be stapled', async () => {
    const { stapler, nextQuestion } = rig({ fetch: () => new Promise(() => {}) })
    const asked = nextQuestion()
    expect(await staple(stapler)).toBeUndefined()
    await asked
    expect(await staple(stapler)).toBeUndefined()
  })

  it('lets who must have one wait for the first', async () => {
    const answer = deferred<Buffer>()
    let question: Buffer | undefined
    const { stapler, nextQuestion } = rig({
      fetch: (_, asked) => {
        question = asked
        return answer.promise
      },
    })
    const asked = nextQuestion()
    const both = [staple(stapler, must), staple(stapler, must)]
    await asked
    answer.resolve(ocspAnswerOf(question as Buffer, root))
    for (const each of await Promise.all(both)) expect(each).toBeDefined()
    expect(faults).toEqual([])
  })

  it('lets them wait no longer than it says, tells once, and again after it was good', async () => {
    let fetch: OcspFetch = () => new Promise(() => {})
    let now = Date.now()
    const { stapler, hand } = rig({ fetch: (...args) => fetch(...args), wait: 1_234, clock: () => now })
    const first = staple(stapler, must)
    await hand.fire(1_234)
    expect(await first).toBeUndefined()
    expect(await staple(stapler, must)).toBeUndefined()
    expect(faults).toEqual([
      {
        status: 'missing',
        names: 'DNS:must.test',
        fingerprint: expect.stringMatching(/^(?:[0-9A-F]{2}:){31}/),
        reason: 'it must be stapled (RFC 7633): the responder has not answered yet',
      },
    ])
    await hand.fire(10_000) // the time for the answer
    await hand.next(10_000) // until it is asked again
    expect(await staple(stapler, must)).toBeUndefined()
    expect(faults).toHaveLength(1)
    fetch = good
    await hand.fire(10_000)
    await until(() => staple(stapler, must), 'a staple')
    expect(faults).toHaveLength(1)
    fetch = () => Promise.reject(new Error('down'))
    now += 7 * 86_400_000
    expect(await staple(stapler, must)).toBeUndefined()
    expect(faults).toHaveLength(2)
  })

  it('preloads, and says what came of it', async () => {
    const { stapler } = rig()
    const found = await stapler.preload(plain.der, root.der)
    expect(found).toBeDefined()
    expect(await staple(stapler)).toBe(found)
    const { stapler: down } = rig({ fetch: () => Promise.reject(new Error('down')) })
    expect(await down.preload(must.der, root.der)).toBeUndefined()
    // Between two questions nobody waits.
    expect(await staple(down, must)).toBeUndefined()
    expect(faults.map(({ reason }) => reason)).toEqual([`it must be stapled (RFC 7633): ${ocsp}: down`])
  })

  it('staples nothing that is revoked, and tells so', async () => {
    const { stapler } = rig({
      fetch: async (_, question) => ocspAnswerOf(question, root, { status: 'revoked' }),
    })
    expect(await stapler.preload(must.der, root.der)).toBeUndefined()
    expect(await staple(stapler, must)).toBeUndefined()
    expect(faults).toEqual([expect.objectContaining({ status: 'revoked', names: 'DNS:must.test' })])
  })

  it('asks nothing for one that names no responder, whose issuer is another, or that is none', async () => {
    let asked = 0
    const { stapler } = rig({
      fetch: async () => {
        asked++
        return Buffer.alloc(0)
      },
    })
    const silent = await root.issue({ names: ['silent.test'], mustStaple: true })
    expect(await stapler.preload(silent.der, root.der)).toBeUndefined()
    expect(await stapler.preload(plain.der, plain.der)).toBeUndefined()
    expect(await stapler.preload(Buffer.from('none'), root.der)).toBeUndefined()
    expect(asked).toBe(0)
    expect(faults).toEqual([])
    expect(await staple(stapler, silent)).toBeUndefined()
    expect(faults.map(({ reason }) => reason)).toEqual([
      'it must be stapled (RFC 7633): the certificate names no responder over http or https',
    ])
  })

  it.each<[string, OcspFetch]>([
    [
      'throws',
      () => {
        throw new Error('thrown')
      },
    ],
    ['rejects with no error', () => Promise.reject('nothing')],
    ['gives no bytes', async () => 5 as unknown as Buffer],
    ['gives nothing', () => undefined as unknown as Promise<Buffer>],
    ['gives a page', async () => Buffer.from('<html>')],
  ])('takes a fetch that %s for a failure, and asks again', async (_, fetch) => {
    const { stapler, hand } = rig({ fetch })
    const asked = stapler.preload(plain.der, root.der)
    expect(await within(asked, 'its end')).toBeUndefined()
    expect(hand.waits).toEqual([10_000])
  })

  it('aborts what takes too long', async () => {
    let seen: AbortSignal | undefined
    const { stapler, hand } = rig({
      fetch: (_, __, signal) => {
        seen = signal
        return new Promise(() => {})
      },
    })
    const asked = stapler.preload(plain.der, root.der)
    await hand.fire(10_000)
    await asked
    expect(seen?.aborted).toBe(true)
  })

  it('asks eight at a time, the others in their turn', async () => {
    const pairs = await Promise.all(
      Array.from({ length: 20 }, (_, i) => root.issue({ names: [`${i}.test`], ocsp })),
    )
    let under = 0
    let most = 0
    const { stapler } = rig({
      fetch: async (_, question) => {
        most = Math.max(most, ++under)
        await new Promise((resolve) => setImmediate(resolve))
        under--
        return ocspAnswerOf(question, root)
      },
    })
    const all = await Promise.all(pairs.map((pair) => stapler.preload(pair.der, root.der)))
    expect(all.every((each) => each !== undefined)).toBe(true)
    expect(most).toBe(8)
  })

  it('holds so many, and lets go of the one that was needed the longest ago', async () => {
    const { stapler, hand } = rig({ certificates: 2 })
    const other = await root.issue({ names: ['other.test'], ocsp })
    await stapler.preload(plain.der, root.der)
    await stapler.preload(must.der, root.der)
    expect(hand.waits).toHaveLength(2)
    await staple(stapler)
    await stapler.preload(other.der, root.der)
    expect(hand.waits).toHaveLength(2)
    expect(await staple(stapler)).toBeDefined()
  })

  it('tells on its channel', async () => {
    const events: unknown[] = []
    const hear = (event: unknown): void => void events.push(event)
    subscribe('sluice:tls:certificate', hear)
    try {
      await rig().stapler.preload(plain.der, root.der)
      await rig({ fetch: () => Promise.reject(new Error('down')) }).stapler.preload(plain.der, root.der)
    } finally {
      unsubscribe('sluice:tls:certificate', hear)
    }
    const common = { kind: 'ocsp', names: 'DNS:plain.test', fingerprint: expect.any(String) }
    expect(events).toEqual([
      { ...common, status: 'good', reason: expect.stringMatching(/^until /) },
      { ...common, status: 'failed', reason: `${ocsp}: down` },
    ])
  })

  it('warns where nobody is to be told, and survives who is told and fails', async () => {
    const fetch: OcspFetch = async (_, question) => ocspAnswerOf(question, root, { status: 'revoked' })
    const stapler = ocspStapler({ fetch })
    await stapler.preload(plain.der, root.der)
    stapler[Symbol.dispose]()
    await until(() => warnings.length > 0, 'the warning')
    expect(warnings.join()).toMatch(/OCSP status of DNS:plain.test \(.*\) is revoked: /)
    for (const onFault of [
      () => {
        throw new Error('mine')
      },
      (async () => Promise.reject(new Error('mine'))) as () => void,
    ])
      expect(await rig({ fetch, onFault }).stapler.preload(plain.der, root.der)).toBeUndefined()
  })

  it('gives nothing and asks nobody once it is disposed', async () => {
    const { stapler, hand, nextQuestion } = rig({ fetch: () => new Promise(() => {}) })
    const asked = nextQuestion()
    const waiting = staple(stapler, must)
    await asked
    stapler[Symbol.dispose]()
    expect(await within(waiting, 'its end')).toBeUndefined()
    expect(await staple(stapler, must)).toBeUndefined()
    expect(await stapler.preload(plain.der, root.der)).toBeUndefined()
    expect(hand.waits).toEqual([])
    expect(faults).toEqual([])
  })

  it('takes a server that nobody else answers for', () => {
    const { stapler } = rig()
    const server: Server = createServer()
    const undo = stapler.attach(server)
    expect(() => stapler.attach(server)).toThrow(TypeError)
    undo()
    undo()
    expect(server.listenerCount('OCSPRequest')).toBe(0)
    stapler.attach(server)
  })

  it('names a wrong option', () => {
    expect(() => ocspStapler({ timeout: 0 }, 'tls.ocsp')).toThrow(/^tls\.ocsp\.timeout: /)
    expect(() => ocspStapler({ cache: 5, fetch: 'curl' } as object)).toThrow(
      /fetch: .*\n?.*cache: |cache: .*\n?.*fetch: /,
    )
  })
})

describe('a responder over HTTP', () => {
  trapUnhandled()
  const own = owner()
  const responder = async (as: OcspBehaviour): Promise<OcspResponder> => own(await ocspResponder(as))
  const answering: OcspBehaviour = (question) => ocspAnswerOf(question, root)
  const failed: string[] = []
  const hear = (event: unknown): void => {
    const { status, reason } = event as OcspEvent
    if (status === 'failed') failed.push(reason)
  }
  const outcome = async (as: OcspBehaviour, timeout = 10_000, path = '') => {
    failed.length = 0
    const { url, asked } = await responder(as)
    const pair = await root.issue({ names: ['a.test'], ocsp: `${url}${path}` })
    const stapler = ocspStapler({ timeout, onFault: () => {} })
    own({ close: () => stapler[Symbol.dispose]() })
    subscribe('sluice:tls:certificate', hear)
    try {
      const staple = await within(stapler.preload(pair.der, root.der), 'the answer')
      return { staple, why: failed[0]?.replace(url, '') ?? '', asked, url, pair }
    } finally {
      unsubscribe('sluice:tls:certificate', hear)
    }
  }

  it('is asked by GET where the URL stays short, else by POST', async () => {
    const short = await outcome(answering)
    expect(short.staple).toBeDefined()
    expect(short.asked.map(({ method }) => method)).toEqual(['GET'])
    const long = await outcome(answering, 10_000, 'x'.repeat(150))
    expect(long.staple).toBeDefined()
    expect(long.asked.map(({ method }) => method)).toEqual(['POST'])
  })

  it.each<[string, string, OcspBehaviour]>([
    ['answers 500', 'the responder answered 500', (_, response) => void response.writeHead(500).end('no')],
    [
      'sends elsewhere',
      'the responder answered 302',
      (_, response) => void response.writeHead(302, { location: '/' }).end(),
    ],
    ['answers with a page', 'it is no OCSP response', () => Buffer.from('<html>')],
    ['answers with nothing', 'it is no OCSP response', () => Buffer.alloc(0)],
    ['hangs up', 'socket hang up', (_, response) => void response.destroy()],
    [
      'breaks off',
      'aborted',
      (question, response) => {
        const whole = ocspAnswerOf(question, root)
        response.writeHead(200, { 'content-length': whole.length })
        response.write(whole.subarray(0, 50), () => response.destroy())
        return undefined
      },
    ],
    [
      'never ends',
      'the responder answered with more than 65536 bytes',
      (_, response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(10_000, 0x30)));
        }
        response.on('drain', more)
        more()
        return undefined
      },
    ],
  ])('that %s fails', async (_, why, as) => {
    const found = await outcome(as)
    expect(found.staple).toBeUndefined()
    expect(found.why).toContain(why)
  })

  it.each<[string, OcspBehaviour]>([
    ['says nothing', () => undefined],
    ['stops in mid-answer', (_, response) => void response.writeHead(200).write('0')],
  ])('that %s is given up', async (_, as) => {
    const found = await outcome(as, 50)
    expect(found.staple).toBeUndefined()
    expect(found.why).toContain('no answer within 50 ms')
  })

  it('that is gone fails', async () => {
    const { url, close } = await ocspResponder(answering)
    await close()
    const pair = await root.issue({ ocsp: url })
    const stapler = ocspStapler()
    expect(await stapler.preload(pair.der, root.der)).toBeUndefined()
    stapler[Symbol.dispose]()
  })
})

it('loads what asking takes when it is made, and not by the import: later there may be no file to open', async () => {
  const program = `
    import { createRequire } from 'node:module'
    import { setImmediate } from 'node:timers/promises'
    import { ocspStapler } from '@sluice/tls'
    const { cache } = createRequire(import.meta.url)
    const loaded = () => Object.keys(cache).some((file) => file.includes('asn1-ocsp'))
    console.log(loaded())
    ocspStapler()
    const until = Date.now() + 8_000
    while (!loaded() && Date.now() < until) await setImmediate()
    console.log(loaded())`
  const args = ['--input-type=module', '--eval', program]
  const options = { cwd: new URL('..', import.meta.url), timeout: 12_000 }
  const { stdout } = await promisify(execFile)(process.execPath, args, options)
  expect(stdout).toBe('false\ntrue\n')
})
