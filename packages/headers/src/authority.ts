/** Host and port of an authority. */
export interface Authority {
  /** Lower case; an IPv6 address in brackets. */
  readonly host: string
  readonly port?: number
}

const pattern = /^(\[[\da-f:.]+\]|[a-z\d._~!$&'()*+;=%-]+)(?::(\d{1,5})?)?$/i

/**
 * Host and port of a `Host` field or an `:authority` (RFC 9110 section 7.2). `undefined` for what is none: userinfo, a path,
 * a list, blanks, an empty name.
 */
export function parseAuthority(value: string): Authority | undefined {
  const match = pattern.exec(value)
  if (match === null) return undefined
  const host = (match[1] as string).toLowerCase()
  if (match[2] === undefined) return { host }
  const port = Number(match[2])
  return port > 65_535 ? undefined : { host, port }
}

/** Whether a value has the form of an authority; quicker than its parts, and blind to a port beyond 65535. */
export function isAuthority(value: string): boolean {
  if (value === last) return true
  if (!pattern.test(value)) return false
  last = value
  return true
}

/** The last authority that was one: most requests name the same as the one before. */
let last: string | undefined
