import type { AccessOptions } from '@sluice/access'
import { Faults } from '@sluice/options'

type Given = Partial<Record<keyof AccessOptions, unknown>>

/**
 * Holds a route's `access` to that of the whole proxy, which stands outside of it: each may be right, and both together let nobody in.
 * @param path what messages call the route's
 * @throws TypeError with a line for each fault
 */
export function checkAccessTogether(site: unknown, route: unknown, path: string): void {
  const outer = recordOf(site) as Given
  const inner = recordOf(route) as Given
  const faults = new Faults()
  const not = (option: string, got: string, takes: string): void => {
    faults.collect(() => {
      throw new TypeError(`${path}.${option}: got ${got}, takes ${takes}`)
    })
  }
  if (inner.requestId !== undefined && inner.requestId !== false)
    not('requestId', 'it for a route', 'a place in access: ids are made before routes are known')
  for (const [one, other] of [
    ['basic', 'jwt'],
    ['jwt', 'basic'],
  ] as const)
    if (outer[one] !== undefined && inner[other] !== undefined)
      not(other, `it with access.${one}`, 'one of them: both read Authorization, so nobody would be let in')
  if (inner.cors !== undefined) {
    if (outer.cors !== undefined)
      not('cors', 'it with access.cors', 'one of them: that one answers all questions ahead of requests')
    for (const name of ['basic', 'jwt', 'signedUrl'] as const)
      if (outer[name] !== undefined)
        not(
          'cors',
          `it with access.${name}`,
          'its place in access: questions ahead of a request have no credentials, and none would come as far',
        )
  }
  const basic = [outer.basic, inner.basic].map((given) => namesOf(recordOf(given)['users']))
  if (areApart(basic))
    not('basic.users', 'no name that access.basic.users has', 'one at least: both are asked')
  for (const name of ['issuer', 'algorithms'] as const)
    if (areApart([outer.jwt, inner.jwt].map((given) => listOf(recordOf(given)[name]))))
      not(
        `jwt.${name}`,
        `none that access.jwt.${name} has`,
        'one at least: a token has one, and both look at it',
      )
  if (areOne(parametersOf(outer.signedUrl), parametersOf(inner.signedUrl)))
    not(
      'signedUrl',
      'the parameters of access.signedUrl',
      'other names in expires and signature: that one takes its own off',
    )
  faults.throwAny()
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** Names of users in a table; what a function knows nobody can say. */
function namesOf(users: unknown): string[] | undefined {
  return typeof users === 'object' && users !== null ? Object.keys(users) : undefined
}

function listOf(value: unknown): string[] | undefined {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value : undefined
}

function parametersOf(signed: unknown): string[] | undefined {
  if (typeof signed !== 'object' || signed === null) return undefined
  const { expires = 'expires', signature = 'signature' } = signed as Record<string, string>
  return [expires, signature]
}

function areApart([a, b]: readonly (string[] | undefined)[]): boolean {
  return a !== undefined && b !== undefined && !a.some((each) => b.includes(each))
}

function areOne(a: string[] | undefined, b: string[] | undefined): boolean {
  return a !== undefined && b !== undefined && !areApart([a, b])
}
