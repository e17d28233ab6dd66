import type { InboundRequest } from '@sluice/core'
import { get, type HeaderList, has, set } from '@sluice/headers'
import { isSecure } from './parse-target.js'
import { addField, type FieldObject, reconcile, toFieldObject } from './reconcile-fields.js'
import type { ParsedTarget, ServerOptions } from './server-options.js'

/**
 * The fields that go to the target. Apps of http-proxy edit `req.headers` before they hand the request over, so what they have
 * changed there counts; the rest goes on as it came.
 * @param list end-to-end fields, as the mount has read them
 */
export function requestFields(
  req: InboundRequest,
  list: HeaderList,
  authority: string,
  options: ServerOptions,
  target: ParsedTarget,
  upgrade: boolean,
): HeaderList {
  let fields = edited(req, list)
  if (options.xfwd) addForwarded(req, fields, authority, upgrade && options.xfwdWsProtoAsHttp !== true)
  if (options.headers !== undefined) fields = withFields(fields, options.headers)
  if (options.auth !== undefined && options.auth !== '')
    set(fields, 'Authorization', `Basic ${Buffer.from(options.auth).toString('base64')}`)
  if (options.changeOrigin) set(fields, 'Host', hostOf(target))
  else if (!has(fields, 'host')) fields.unshift('Host', authority === '' ? hostOf(target) : authority)
  return fields
}

/** What `Host` says to a target: the port only where it isn't the scheme's own. */
function hostOf(target: ParsedTarget): string {
  const own = isSecure(target) ? '443' : '80'
  return target.port === null || target.port === own ? target.hostname : `${target.hostname}:${target.port}`
}

function edited(req: InboundRequest, list: HeaderList): HeaderList {
  const now = req.headers as FieldObject
  const raw = req.rawHeaders
  let count = 0
  for (const name in now) if (name.charCodeAt(0) !== 58) count++
  let same = count === raw.length / 2
  for (let i = 0; same && i < raw.length; i += 2) same = now[(raw[i] as string).toLowerCase()] === raw[i + 1]
  if (same) return list
  const before = toFieldObject(raw)
  return reconcile(list, now, before)
}

function addForwarded(req: InboundRequest, fields: HeaderList, authority: string, asWs: boolean): void {
  const { socket } = req
  const secure = (socket as { encrypted?: boolean }).encrypted === true
  const own = [
    ['x-forwarded-for', socket.remoteAddress ?? ''],
    ['x-forwarded-port', /:(\d+)$/.exec(authority)?.[1] ?? (secure ? '443' : '80')],
    ['x-forwarded-proto', asWs ? (secure ? 'wss' : 'ws') : secure ? 'https' : 'http'],
  ] as const
  for (const [name, value] of own) {
    const said = req.headers[name] as string | undefined
    set(fields, name, said === undefined || said === '' ? value : `${said},${value}`)
  }
  if ((get(fields, 'x-forwarded-host') ?? '') === '') set(fields, 'x-forwarded-host', authority)
}

/** Sets fields of an object: each replaces those of its name. @throws TypeError for what HTTP forbids */
function withFields(list: HeaderList, fields: FieldObject): HeaderList {
  const now = toFieldObject(list)
  const before = { ...now }
  for (const name of Object.keys(fields)) {
    const lower = name.toLowerCase()
    if (Object.hasOwn(before, lower)) now[lower] = fields[name]
    else now[name] = fields[name]
  }
  return reconcile(list, now, before)
}

/**
 * Makes Content-Length that of the body that is sent (CVE-2026-29057 came of doing it otherwise). What has a length has no
 * trailers, and Node's client throws at their announcement.
 */
export function frame(list: HeaderList, length: number | undefined, method: string): void {
  let to = 0
  let said = false
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string
    const isLength = name.length === 14 && name.toLowerCase() === 'content-length'
    if (isLength && (said || length === undefined)) continue
    if (length !== undefined && name.length === 7 && name.toLowerCase() === 'trailer') continue
    if (isLength) said = true
    const value = isLength ? String(length) : (list[i + 1] as string)
    list[to++] = name
    list[to++] = value
  }
  list.length = to
  // http-proxy says so too, and targets have come to expect it.
  if (!said && length === 0 && (method === 'DELETE' || method === 'OPTIONS')) list.push('Content-Length', '0')
}

/** addField for callers that hold a list alone. */
export function setField(list: HeaderList, name: string, value: FieldObject[string]): void {
  const fresh: HeaderList = []
  addField(fresh, name, value)
  const lower = name.toLowerCase()
  let at = -1
  for (let i = list.length - 2; i >= 0; i -= 2) {
    if ((list[i] as string).toLowerCase() !== lower) continue
    list.splice(i, 2)
    at = i
  }
  list.splice(at === -1 ? list.length : at, 0, ...fresh)
}
