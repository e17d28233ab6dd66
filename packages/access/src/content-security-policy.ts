/** Values by directive: a text, a list of some, or `null` to take a default away. A list without any stands for a directive without value. */
export type PolicyDirectives = Readonly<Record<string, string | readonly string[] | null>>

const defaults: Readonly<Record<string, readonly string[]>> = {
  'default-src': ["'self'"],
  'base-uri': ["'self'"],
  'font-src': ["'self'", 'https:', 'data:'],
  'form-action': ["'self'"],
  'frame-ancestors': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'object-src': ["'none'"],
  'script-src': ["'self'"],
  'script-src-attr': ["'none'"],
  'style-src': ["'self'", 'https:', "'unsafe-inline'"],
  'upgrade-insecure-requests': [],
}

/** The directive that must not be sent over plain http: a site without TLS would load none of its own parts. */
const upgradeInsecure = 'upgrade-insecure-requests'

/** Keywords and hashes that mean a host of that name where they have no quotes around them. */
const wantsQuotes =
  /^(none|self|strict-dynamic|report-sample|inline-speculation-rules|unsafe-inline|unsafe-eval|unsafe-hashes|wasm-unsafe-eval|nonce-.*|sha(256|384|512)-.*)$/

/** Whether these are directives: names that can be some, each once, and values that don't end a directive or the policy. */
export function isDirectives(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const names = new Set<string>()
  return Object.entries(value).every(([given, values]) => {
    const name = dashed(given)
    if (!/^[a-z\d-]+$/.test(name) || names.has(name)) return false
    names.add(name)
    if (values === null) return true
    const list: unknown[] = Array.isArray(values) ? values : [values]
    return (typeof values !== 'string' || values !== '') && list.every(isSource)
  })
}

function isSource(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    /^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(value) &&
    !/[;,]/.test(value) &&
    !value.split(' ').some((each) => wantsQuotes.test(each))
  )
}

/** `scriptSrc` as the directive that it is. */
function dashed(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/**
 * A policy's value (Content Security Policy level 3, section 2.2): what is given in its order, then the defaults that it doesn't name. Empty
 * if there is no directive.
 */
export function contentSecurityPolicy(
  given: PolicyDirectives,
  useDefaults: boolean,
  secure: boolean,
): string {
  const policy = new Map<string, readonly string[] | null>()
  for (const [name, values] of Object.entries(given))
    policy.set(dashed(name), typeof values === 'string' ? [values] : values)
  if (useDefaults)
    for (const [name, values] of Object.entries(defaults)) if (!policy.has(name)) policy.set(name, values)
  const parts: string[] = []
  for (const [name, values] of policy) {
    if (values === null || (name === upgradeInsecure && !secure)) continue
    parts.push([name, ...values].join(' '))
  }
  return parts.join(';')
}
