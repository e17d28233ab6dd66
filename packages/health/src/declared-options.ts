import { isFieldName } from '@sluice/headers'
import { type Duration, parse, positiveDuration, that, v } from '@sluice/options'
import { declarationField } from './declaration.js'

/** Options of `declared`. */
export interface DeclaredOptions {
  /** The field of answers in which targets say how they are. Default 'X-Health'. */
  header?: string
  /** How long a word holds unless an answer says it again, more than 0. Default 30s. */
  for?: Duration
}

/** {@link DeclaredOptions} with none left out. */
export interface DeclaredSettings {
  readonly header: string
  readonly for: number
}

const name = (value: unknown): boolean => typeof value === 'string' && isFieldName(value)

/** Validates {@link DeclaredOptions} and fills in the defaults. */
export const declaredOptions = v.strictObject({
  header: v.optional(that<string>(name, "a name such as 'X-Health'"), declarationField),
  for: v.optional(positiveDuration(), 30_000),
})

/**
 * Options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveDeclared(options: DeclaredOptions = {}, path = 'declared'): DeclaredSettings {
  return parse(declaredOptions, options, path)
}
