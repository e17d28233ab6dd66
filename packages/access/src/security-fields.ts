import type { HeaderList } from '@sluice/headers'
import { fault, parseDuration, quote, type v } from '@sluice/options'
import { contentSecurityPolicy } from './content-security-policy.js'
import type { securityHeadersOptions } from './security-headers-options.js'

type Settings = v.InferOutput<typeof securityHeadersOptions>

/** The fields of answers, in the order of `helmet`. */
export function securityFields(settings: Settings, path: string, secure: boolean): HeaderList {
  const list: HeaderList = []
  const add = (name: string, value: string | false | undefined): void => {
    if (value !== false && value !== undefined) list.push(name, value)
  }
  const { contentSecurityPolicy: policy } = settings
  if (policy !== false) {
    const { directives = {}, useDefaults = true, reportOnly = false } = policy === true ? {} : policy
    const value = contentSecurityPolicy(directives, useDefaults, secure)
    if (value !== '') add(`Content-Security-Policy${reportOnly ? '-Report-Only' : ''}`, value)
  }
  add('Cross-Origin-Embedder-Policy', settings.crossOriginEmbedderPolicy)
  add('Cross-Origin-Opener-Policy', settings.crossOriginOpenerPolicy)
  add('Cross-Origin-Resource-Policy', settings.crossOriginResourcePolicy)
  add('Origin-Agent-Cluster', settings.originAgentCluster && '?1')
  const { referrerPolicy } = settings
  add(
    'Referrer-Policy',
    Array.isArray(referrerPolicy) ? referrerPolicy.join(',') : (referrerPolicy as string | false),
  )
  const transport = transportSecurity(settings, path)
  if (secure) add('Strict-Transport-Security', transport)
  add('X-Content-Type-Options', settings.xContentTypeOptions && 'nosniff')
  add('X-DNS-Prefetch-Control', settings.xDnsPrefetchControl)
  add('X-Download-Options', settings.xDownloadOptions && 'noopen')
  add('X-Frame-Options', settings.xFrameOptions)
  add('X-Permitted-Cross-Domain-Policies', settings.xPermittedCrossDomainPolicies)
  add('X-XSS-Protection', settings.xXssProtection && '0')
  return list
}

const year = 31_536_000

/** RFC 6797 section 6.1. */
function transportSecurity({ strictTransportSecurity: given }: Settings, path: string): string | undefined {
  if (given === false) return undefined
  const { maxAge = '8760h', includeSubDomains = true, preload = false } = given === true ? {} : given
  const at = `${path}.strictTransportSecurity`
  const seconds = Math.floor(parseDuration(maxAge, `${at}.maxAge`) / 1_000)
  if (preload && !(includeSubDomains && seconds >= year))
    throw new TypeError(
      fault(
        `${at}.preload`,
        quote(preload),
        "false without includeSubDomains and a maxAge of '8760h' or more: the list asks for both",
      ),
    )
  return [
    `max-age=${seconds}`,
    ...(includeSubDomains ? ['includeSubDomains'] : []),
    ...(preload ? ['preload'] : []),
  ].join('; ')
}
