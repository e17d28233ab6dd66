import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { takeCertificate } from '../../../test/kit/acme-order.js'
import {
  accountKey,
  acmeRig,
  changed,
  problem,
  refused,
  without,
  withoutField,
} from '../../../test/kit/acme-rig.js'
import { handTimers } from '../../../test/kit/hand-timers.js'
import type { AcmeLie, AcmeReply, AcmeStep } from '../../../test/kit/hostile-acme.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { AcmeClient, type AcmeError } from './index.js'

trapUnhandled()
const own = owner()
const { met } = acmeRig(own, AcmeClient)
const take = (client: AcmeClient) => takeCertificate(client, ['a.test'])

/** The steps of a certificate, and what the client calls them. */
const steps: readonly (readonly [AcmeStep, AcmeError['phase']])[] = [
  ['directory', 'directory'],
  ['nonce', 'nonce'],
  ['account', 'account'],
  ['newOrder', 'order'],
  ['authorization', 'authorization'],
  ['challenge', 'challenge'],
  ['order', 'order'],
  ['finalize', 'finalize'],
  ['certificate', 'certificate'],
]

/** What may go wrong at any of them, and what it is called; `not` where it is no matter. */
const troubles: readonly {
  readonly name: string
  readonly lie: AcmeLie
  readonly code: AcmeError['code']
  readonly not?: readonly AcmeStep[]
  readonly more?: object
}[] = [
  {
    name: 'garbage',
    lie: (reply) => ({ ...reply, body: '<html>\u001b[31mSorry\u0007</html>' }),
    code: 'malformed',
    // What they say isn't read, or isn't JSON.
    not: ['nonce', 'challenge', 'finalize', 'certificate'],
  },
  {
    name: 'JSON of another kind',
    lie: (reply) => ({ ...reply, body: '[[[1,2],null],{"__proto__":{"status":"valid"}}]' }),
    code: 'malformed',
    not: ['nonce', 'challenge', 'finalize', 'certificate'],
  },
  { name: 'a body without end', lie: endless, code: 'too_large', not: ['nonce'] },
  {
    name: 'a head without end',
    lie: (_, { res }) => raw(res.socket, 'x: y\r\n'.repeat(100_000)),
    code: 'too_large',
  },
  {
    name: 'no HTTP',
    lie: (_, { res }) => void res.socket?.end('SSH-2.0-OpenSSH_9.2\r\n'),
    code: 'malformed',
  },
  { name: 'a broken connection', lie: (_, { res }) => void res.socket?.destroy(), code: 'unreachable' },
  {
    name: 'a redirect',
    lie: ({ headers }) => ({
      status: 302,
      headers: { ...headers, location: 'http://169.254.169.254/' },
      body: '',
    }),
    code: 'refused',
  },
  {
    name: '500 in plain text',
    lie: () => ({ status: 500, headers: {}, body: 'oops' }),
    code: 'unavailable',
  },
  {
    name: '503 with Retry-After',
    lie: () => ({ status: 503, headers: { 'retry-after': '120' }, body: 'busy' }),
    code: 'unavailable',
    more: { retryAfterMs: 120_000 },
  },
  {
    name: '429 with a problem document',
    lie: problem(429, 'rateLimited', {}, { 'retry-after': '3600' }),
    code: 'problem',
    // An answer to HEAD has no body.
    not: ['nonce'],
    more: { type: 'rateLimited', status: 429, retryAfterMs: 3_600_000, detail: 'so it is' },
  },
  {
    name: '429 without Retry-After',
    lie: problem(429, 'rateLimited'),
    code: 'problem',
    not: ['nonce'],
    more: { type: 'rateLimited', status: 429 },
  },
]

const sent = { bytes: 0 }

function endless(_: AcmeReply, { res }: { res: ServerResponse }): undefined {
  const chunk = Buffer.alloc(65_536, 0x20)
  res.writeHead(200)
  const pump = (): void => {
    do sent.bytes += chunk.length
    while (res.write(chunk))
  }
  res.on('drain', pump)
  pump()
}

function raw(socket: Socket | null, fields: string): undefined {
  socket?.on('error', () => {})
  socket?.write(`HTTP/1.1 200 OK\r\n${fields}`)
}

describe.each(troubles)('$name', ({ lie, code, not = [], more = {} }) => {
  it.each(steps.filter(([step]) => !not.includes(step)))(
    'at %s is told, and once it is over all goes well',
    async (step, phase) => {
      const { server, client } = await met()
      sent.bytes = 0
      server.at(step, lie)
      const error = await refused(take(client))
      expect(error).toMatchObject({ code, phase, host: new URL(server.origin).host, ...more })
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in it
      expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
      expect(error.message.length).toBeLessThan(1_000)
      expect(sent.bytes).toBeLessThan(32 * 1_048_576)
      server.at(step)
      await take(client)
    },
  )
})

describe.each<[string, AcmeLie]>([
  ['no answer', () => undefined],
  [
    'an answer that stops in the middle',
    (_, { res }) => void res.writeHead(200, { 'content-length': '100' }).write('{"a'),
  ],
])('%s', (_, lie) => {
  // HEAD has no body to stop in.
  const some = lie.length === 0 ? steps : steps.filter(([step]) => step !== 'nonce')
  it.each(some)('at %s is given up in time', async (step, phase) => {
    const timers = handTimers()
    const { server, client } = await met({ timeout: '7s' }, { after: timers.after })
    server.at(step, lie)
    const taking = refused(take(client))
    await until(() => server.requests.some((request) => request.step === step), step)
    await timers.fire(7_000)
    expect(await taking).toMatchObject({ code: 'timeout', phase })
    expect(timers.waits).toEqual([])
  })
})

describe('a URL that leads elsewhere', () => {
  it.each<[string, AcmeStep, AcmeLie]>([
    ['a file', 'directory', changed((body) => (body.newOrder = 'file:///etc/passwd'))],
    ['plain http', 'directory', changed((body) => (body.newNonce = 'http://example.com/nonce'))],
    ['user and password', 'directory', changed((body) => (body.newAccount = 'https://a:b@example.com/'))],
    ['another host', 'newOrder', changed((body) => (body.authorizations = ['https://example.com/1']))],
    ['another port', 'authorization', changed((body) => (body.challenges[0].url = 'http://127.0.0.1:1/'))],
    ['a file', 'order', changed((body) => (body.finalize = 'file:///etc/passwd'))],
    ['a file', 'order', changed((body) => (body.certificate = 'data:,-----BEGIN'))],
    [
      '3 KB',
      'newOrder',
      changed((body) => (body.authorizations = [`http://127.0.0.1/${'x'.repeat(3_000)}`])),
    ],
  ])('%s in an answer to %s is not gone to', async (_, step, lie) => {
    const { server, client } = await met()
    server.at(step, lie)
    expect(await refused(take(client))).toMatchObject({
      code: 'wrong_url',
      message: expect.stringMatching(/leads (elsewhere, )?to .*; requests go to the origins/),
    })
  })

  it('may be another https host where the directory names it', async () => {
    const { server, client } = await met()
    server.at(
      'directory',
      changed((body) => (body.newNonce = 'https://nonces.invalid/')),
    )
    expect(await refused(client.account())).toMatchObject({ code: 'unreachable', host: 'nonces.invalid' })
  })

  it('of a plain directory beyond loopback is a wrong option', () => {
    const options = { directory: 'http://acme.test/directory', accountKey, agreeToTerms: true }
    expect(() => new AcmeClient(options, 'tls.acme')).toThrow(
      /^tls\.acme\.directory: got 'http:.* takes an https: URL/,
    )
  })
})

describe('an answer that lacks something', () => {
  it.each<[string, AcmeStep, string | RegExp, AcmeLie]>([
    ['no newOrder', 'directory', 'newOrder', without('newOrder')],
    ['no Location', 'account', 'Location', withoutField('location')],
    ['no finalize', 'newOrder', 'finalize', without('finalize')],
    ['an unknown status', 'order', 'status', changed((body) => (body.status = 'perhaps'))],
    [
      'other names',
      'newOrder',
      'b.test',
      changed((body) => (body.identifiers = [{ type: 'dns', value: 'b.test' }])),
    ],
    [
      'a token that is a path',
      'authorization',
      'token',
      changed((body) => (body.challenges[0].token = '../../../etc/passwd')),
    ],
    ['a token to guess', 'authorization', 'token', changed((body) => (body.challenges[0].token = '1'))],
    [
      'too many names',
      'newOrder',
      'identifiers',
      changed((body) => (body.identifiers = Array(5_000).fill({ type: 'dns', value: 'a' }))),
    ],
    ['a time that is none', 'newOrder', 'expires', changed((body) => (body.expires = 'soon'))],
  ])('%s in that to %s is told', async (_, step, what, lie) => {
    const { server, client } = await met()
    server.at(step, lie)
    expect(await refused(take(client))).toMatchObject({
      code: 'malformed',
      message: expect.stringMatching(what),
    })
  })

  it('leaves challenges of a kind that is not known alone', async () => {
    const { server, client } = await met()
    server.at(
      'authorization',
      changed((body) => body.challenges.push({ type: 'dns-persist-01' })),
    )
    await take(client)
  })
})

describe('nonces', () => {
  it('that are refused for ever end in an error, after few requests', async () => {
    const { server, client } = await met()
    server.at('newOrder', problem(400, 'badNonce', {}, { 'replay-nonce': 'again' }))
    expect(await refused(take(client))).toMatchObject({ code: 'nonces', phase: 'order' })
    expect(server.requests.length).toBeLessThan(50)
  })

  it('of an answer that refuses one are used for the next try', async () => {
    const { server, client } = await met()
    let times = 0
    server.at('newOrder', (reply, exchange) => {
      if (++times > 2) return reply
      const refusal = problem(400, 'badNonce')(reply, exchange) as AcmeReply
      return { ...refusal, headers: { ...refusal.headers, 'replay-nonce': `fresh-${times}` } }
    })
    await take(client)
    const used = server.requests
      .filter(({ step }) => step === 'newOrder')
      .map(({ header }) => header?.['nonce'])
    expect(used.slice(1)).toEqual(['fresh-1', 'fresh-2'])
  })

  it.each(['not a nonce!', 'x'.repeat(2_000)])('that are none (%j) are not sent', async (nonce) => {
    const { server, client } = await met()
    for (const step of ['directory', 'nonce'] as const)
      server.at(step, ({ headers, ...reply }) => ({
        ...reply,
        headers: { ...headers, 'replay-nonce': nonce },
      }))
    expect(await refused(client.account())).toMatchObject({ code: 'malformed', phase: 'nonce' })
  })

  it('that do not come when they are asked for are told', async () => {
    const { server, client } = await met()
    for (const step of ['directory', 'nonce'] as const) server.at(step, withoutField('replay-nonce'))
    expect(await refused(client.account())).toMatchObject({ code: 'malformed', phase: 'nonce' })
  })
})
