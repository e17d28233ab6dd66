import { v } from '@sluice/options'

/** What the target is told of who called. */
export interface ForwardingOptions {
  /**
   * Write X-Forwarded-For, -Host and -Proto, and -Prefix and -Port where there is one to tell. Default `true`. `false` writes none; those
   * that came are dropped all the same.
   */
  x?: boolean
  /**
   * Write `Forwarded` (RFC 7239): `for`, `host` and `proto`, never `by`. `'real'` names addresses, with the port where it is known;
   * `'hidden'` an identifier made up for each connection, which says nothing but that two requests came on the same one;
   * `'unknown'` nobody. The last two hide the addresses of the believed chain too. They hide nothing while `x` is on.
   * Default `false`: none is written.
   */
  rfc7239?: false | 'real' | 'hidden' | 'unknown'
}

/** {@link ForwardingOptions}, none left out. */
export interface Forwarding {
  readonly x: boolean
  readonly rfc7239: false | 'real' | 'hidden' | 'unknown'
}

const naming = v.custom<Forwarding['rfc7239']>(
  (value) => value === false || value === 'real' || value === 'hidden' || value === 'unknown',
  "false, 'real', 'hidden', 'unknown'",
)

/** Validates {@link ForwardingOptions} and fills in the defaults. */
export const forwardingOptions = v.strictObject({
  x: v.optional(v.boolean(), true),
  rfc7239: v.optional(naming, false),
})
