import type { HeaderList } from '@sluice/headers'
import type { ParsedTarget, ServerOptions } from './server-options.js'

type Mapping = false | string | Record<string, string | null> | undefined

/**
 * The fields for the client: redirects and cookies rewritten as the options say.
 * @param host what the client calls this server
 */
export function rewriteResponse(
  list: HeaderList,
  status: number,
  options: ServerOptions,
  target: ParsedTarget,
  host: string,
): HeaderList {
  const { hostRewrite, autoRewrite, protocolRewrite, cookieDomainRewrite, cookiePathRewrite } = options
  const locations = (hostRewrite || autoRewrite || protocolRewrite) && redirects(status)
  const domains = isMapping(cookieDomainRewrite)
  const paths = isMapping(cookiePathRewrite)
  if (!locations && !domains && !paths) return list
  const out: HeaderList = []
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string
    let value = list[i + 1] as string
    if (locations && name.length === 8 && name.toLowerCase() === 'location')
      value = rewriteLocation(value, target, hostRewrite || (autoRewrite ? host : ''), protocolRewrite || '')
    else if (name.length === 10 && name.toLowerCase() === 'set-cookie') {
      if (domains) value = rewriteAttribute(value, 'domain', cookieDomainRewrite)
      if (paths) value = rewriteAttribute(value, 'path', cookiePathRewrite)
    }
    out.push(name, value)
  }
  return out
}

function redirects(status: number): boolean {
  return status === 201 || status === 301 || status === 302 || status === 307 || status === 308
}

function isMapping(mapping: Mapping): boolean {
  return typeof mapping === 'string' || (typeof mapping === 'object' && mapping !== null)
}

/** A redirect that names the target gets another host or scheme; any other is left alone. */
function rewriteLocation(value: string, target: ParsedTarget, host: string, protocol: string): string {
  const parts = /^([a-z][a-z\d+.-]*):\/\/([^/?#@]*@)?([^/?#]*)(.*)$/is.exec(value)
  if (parts === null) return value
  const [, scheme = '', user = '', found = '', rest = ''] = parts
  if (authority(scheme, found) !== authority(target.protocol.slice(0, -1), target.host)) return value
  const path = rest === '' || rest.startsWith('/') ? rest || '/' : `/${rest}`
  return `${protocol === '' ? scheme : protocol.replace(/:(\/\/)?$/, '')}://${user}${host === '' ? found : host}${path}`
}

/** Host and port without the scheme's own port. */
function authority(scheme: string, host: string): string {
  const own = /^(https|wss)$/i.test(scheme) ? ':443' : ':80'
  const lower = host.toLowerCase()
  return lower.endsWith(own) ? lower.slice(0, -own.length) : lower
}

/** Replaces an attribute of a cookie by its mapping, or removes it; the first of its name, as http-proxy does. */
function rewriteAttribute(cookie: string, attribute: string, mapping: Mapping): string {
  const parts = cookie.split(';')
  for (let i = 1; i < parts.length; i++) {
    const part = parts[i] as string
    const equals = part.indexOf('=')
    if (equals === -1 || part.slice(0, equals).trim().toLowerCase() !== attribute) continue
    // One that says nothing stands for nothing that could be mapped.
    if (part.length === equals + 1) return cookie
    const value = mapped(part.slice(equals + 1), mapping)
    if (value === undefined) return cookie
    if (value === null || value === '') parts.splice(i, 1)
    else parts[i] = part.slice(0, equals + 1) + value
    return parts.join(';')
  }
  return cookie
}

function mapped(old: string, mapping: Mapping): string | null | undefined {
  if (typeof mapping === 'string') return mapping
  const map = mapping as Record<string, string | null>
  if (Object.hasOwn(map, old)) return map[old]
  return Object.hasOwn(map, '*') ? map['*'] : undefined
}
