import { type Context, toBody } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { plainName } from './field-names.js'
import { IdentityBody } from './identity-body.js'

/** Fields in which a layer tells targets who has asked: nobody else may write them. */
export interface IdentityFields {
  /** Removes them from the request, behind its body too, however they are spelt: `X_User` is `X-User` to a target that speaks CGI. */
  clear(ctx: Context): void
}

/** @param names of the fields, in any case */
export function identityFields(names: readonly string[]): IdentityFields {
  const own = new Set(names.map(plainName))
  const lengths = new Set(names.map(({ length }) => length))
  const clear = (fields: HeaderList): void => {
    let to = 0
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string
      if (lengths.has(name.length) && own.has(plainName(name))) continue
      fields[to++] = name
      fields[to++] = fields[i + 1] as string
    }
    fields.length = to
  }
  return {
    clear({ out, req }) {
      if (own.size === 0) return
      clear(out.headers)
      const body = out.body === null ? null : toBody(out.body)
      // On HTTP/1 nothing comes behind a body that says its length.
      if (body !== null && ('stream' in req || body.length === undefined))
        out.body = new IdentityBody(body, clear)
    },
  }
}

/**
 * A text as the bytes of its UTF-8, a character each, as lists of fields have them; `undefined` for one that can be no value. That goes for blanks
 * around it, too: nobody would see them, and who is called ` root` would be `root`.
 */
export function fieldValue(text: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for.
  if (/[\x00-\x1f\x7f]/.test(text) || text !== text.trim()) return undefined
  return Buffer.from(text, 'utf8').toString('latin1')
}
