import { createServer } from 'node:http'
import { type SecurityHeadersOptions, securityHeaders } from '@sluice/access'
import { ProxyError } from '@sluice/core'
import express from 'express'
import helmet from 'helmet'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { type FrontKind, fronts, listening } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import type { OriginHandler } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value, values } from '../kit/raw-request.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const site = (kind: FrontKind, options: SecurityHeadersOptions = {}, handler?: OriginHandler) =>
  accessSite(own, kind, [securityHeaders(options)], handler)

const names = [
  'content-security-policy',
  'content-security-policy-report-only',
  'cross-origin-embedder-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'origin-agent-cluster',
  'referrer-policy',
  'strict-transport-security',
  'x-content-type-options',
  'x-dns-prefetch-control',
  'x-download-options',
  'x-frame-options',
  'x-permitted-cross-domain-policies',
  'x-powered-by',
  'x-xss-protection',
]

/** What an answer has of them. */
const found = (headers: readonly string[]): Record<string, string[]> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const all = values(headers, name)
      return all.length === 0 ? [] : [[name, all]]
    }),
  )

/** What helmet sends. */
async function byHelmet(options: Parameters<typeof helmet>[0]): Promise<Record<string, string[]>> {
  const server = express()
    .disable('x-powered-by')
    .use(helmet(options))
    .use((_req, res) => void res.end('ok'))
  const { client } = own(await listen(createServer(server)))
  return found((await client.ask()).headers)
}

/** Over plain http we send what helmet does, but for what would be wrong there. */
function overHttp(fields: Record<string, string[]>): Record<string, string[]> {
  const { 'strict-transport-security': _, ...rest } = fields
  const policy = rest['content-security-policy']
  if (policy !== undefined)
    rest['content-security-policy'] = policy.map((value) => value.replace(/;?upgrade-insecure-requests/, ''))
  return rest
}

describe.each(fronts)('securityHeaders through $name', (kind) => {
  it('are those of helmet', async () => {
    const { client } = await site(
      kind,
      {},
      (_req, res) => void res.setHeader('X-Powered-By', 'PHP').end('ok'),
    )
    const expected = await byHelmet({})
    const answer = await client.ask()
    expect(answer.text).toBe('ok')
    const got = found(answer.headers)
    // Express says who it is ahead of us, and is the user's own app.
    if (kind.name.includes('Express')) delete got['x-powered-by']
    expect(got).toEqual(kind.tls ? expected : overHttp(expected))
  })

  it('go with errors too', async () => {
    const made = await accessSite(own, kind, [
      securityHeaders(),
      () => async () => {
        throw new ProxyError('http_request_denied')
      },
    ])
    const answer = await made.client.ask()
    expect(answer.status).toBe(403)
    expect(values(answer.headers, 'x-content-type-options')).toEqual(['nosniff'])
    expect(values(answer.headers, 'strict-transport-security')).toHaveLength(kind.tls ? 1 : 0)
  })
})

const secure = fronts.find(({ tls, http2 }) => tls && !http2)

describe.skipIf(skipUnless(secure, 'fronts with TLS: there is no openssl'))(
  'options as those of helmet',
  () => {
    it.each<[SecurityHeadersOptions, Parameters<typeof helmet>[0]]>([
      [{ contentSecurityPolicy: false, xPoweredBy: false }, { contentSecurityPolicy: false }],
      [
        {
          contentSecurityPolicy: { directives: { 'script-src': ["'self'", 'cdn.example'], styleSrc: null } },
        },
        {
          contentSecurityPolicy: { directives: { 'script-src': ["'self'", 'cdn.example'], styleSrc: null } },
        },
      ],
      [
        {
          contentSecurityPolicy: {
            useDefaults: false,
            reportOnly: true,
            directives: { defaultSrc: "'none'", sandbox: [], 'img-src': '*' },
          },
        },
        {
          contentSecurityPolicy: {
            useDefaults: false,
            reportOnly: true,
            directives: { defaultSrc: "'none'", sandbox: [], 'img-src': '*' },
          },
        },
      ],
      [
        { crossOriginEmbedderPolicy: 'credentialless' },
        { crossOriginEmbedderPolicy: { policy: 'credentialless' } },
      ],
      [
        { crossOriginOpenerPolicy: 'same-origin-allow-popups' },
        { crossOriginOpenerPolicy: { policy: 'same-origin-allow-popups' } },
      ],
      [
        { crossOriginResourcePolicy: 'cross-origin' },
        { crossOriginResourcePolicy: { policy: 'cross-origin' } },
      ],
      [{ originAgentCluster: false }, { originAgentCluster: false }],
      [
        { referrerPolicy: ['no-referrer', 'strict-origin-when-cross-origin'] },
        { referrerPolicy: { policy: ['no-referrer', 'strict-origin-when-cross-origin'] } },
      ],
      [
        { strictTransportSecurity: { maxAge: '24h', includeSubDomains: false } },
        { strictTransportSecurity: { maxAge: 86_400, includeSubDomains: false } },
      ],
      [{ strictTransportSecurity: { preload: true } }, { strictTransportSecurity: { preload: true } }],
      [{ strictTransportSecurity: false }, { strictTransportSecurity: false }],
      [
        { xContentTypeOptions: false, xDownloadOptions: false },
        { xContentTypeOptions: false, xDownloadOptions: false },
      ],
      [{ xDnsPrefetchControl: 'on' }, { xDnsPrefetchControl: { allow: true } }],
      [{ xFrameOptions: 'DENY' }, { xFrameOptions: { action: 'deny' } }],
      [
        { xPermittedCrossDomainPolicies: 'by-content-type' },
        { xPermittedCrossDomainPolicies: { permittedPolicies: 'by-content-type' } },
      ],
      [
        { xXssProtection: false, xFrameOptions: false },
        { xXssProtection: false, xFrameOptions: false },
      ],
    ])('%j', async (options, theirs) => {
      const { client } = await site(secure as FrontKind, options)
      expect(found((await client.ask()).headers)).toEqual(await byHelmet(theirs))
    })
  },
)

describe('securityHeaders', () => {
  const telling: OriginHandler = (_req, res) =>
    res
      .setHeader('content-security-policy', ["default-src 'none'", "img-src 'self'"])
      .setHeader('X-Frame-Options', 'DENY')
      .setHeader('Strict-Transport-Security', 'max-age=1')
      .setHeader('X-Powered-By', 'PHP')
      .end()

  it('leave what the target says of itself', async () => {
    const { client } = await site(listening, {}, telling)
    const { headers } = await client.ask()
    expect(values(headers, 'content-security-policy')).toEqual(["default-src 'none'", "img-src 'self'"])
    expect(values(headers, 'x-frame-options')).toEqual(['DENY'])
    expect(values(headers, 'x-content-type-options')).toEqual(['nosniff'])
    // Without TLS it means nothing.
    expect(values(headers, 'strict-transport-security')).toEqual([])
    expect(values(headers, 'x-powered-by')).toEqual([])
  })

  it('take its place if they are to', async () => {
    const { client } = await site(listening, { keep: false, xPoweredBy: false }, telling)
    const { headers } = await client.ask()
    expect(values(headers, 'content-security-policy')).toEqual([
      expect.stringContaining("default-src 'self';"),
    ])
    expect(values(headers, 'x-frame-options')).toEqual(['SAMEORIGIN'])
    expect(values(headers, 'x-powered-by')).toEqual(['PHP'])
  })

  it('leave a field alone that is off', async () => {
    const options = {
      xFrameOptions: false,
      strictTransportSecurity: false,
      contentSecurityPolicy: false,
      keep: false,
    } as const
    const { client } = await site(listening, options, telling)
    const { headers } = await client.ask()
    expect(value(headers, 'x-frame-options')).toBe('DENY')
    expect(value(headers, 'strict-transport-security')).toBe('max-age=1')
    expect(values(headers, 'content-security-policy')).toHaveLength(2)
  })

  it("are there once where a route has its own inside of the site's", async () => {
    const made = await accessSite(own, listening, [
      securityHeaders(),
      securityHeaders({ xFrameOptions: 'DENY' }),
      (next) => (ctx) => {
        if (ctx.out.path === '/no') throw new ProxyError('http_request_denied')
        return next(ctx)
      },
    ])
    for (const path of ['/', '/no']) {
      const { headers } = await made.client.ask({ path })
      expect(values(headers, 'x-frame-options')).toEqual(['DENY'])
      expect(values(headers, 'content-security-policy')).toHaveLength(1)
    }
  })

  it('tell of TLS where a trusted proxy has ended it', async () => {
    const made = await accessSite(own, listening, [securityHeaders()], undefined, { trust: ['127.0.0.1'] })
    const told = ['X-Forwarded-For', '203.0.113.9', 'X-Forwarded-Proto', 'https']
    const { headers } = await made.client.ask({ headers: told })
    expect(value(headers, 'strict-transport-security')).toBe('max-age=31536000; includeSubDomains')
    expect(value(headers, 'content-security-policy')).toContain('upgrade-insecure-requests')
  })
})
