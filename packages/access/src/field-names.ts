import { isFieldName } from '@sluice/headers'
import { that, v } from '@sluice/options'

/** Fields that frame or route a message, or end at each hop: nobody but the proxy may write them. */
const proxyOwned =
  /^(connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|content-length|host|expect|via|forwarded|x-forwarded-.*|x-real-ip|client-cert(-chain)?)$/

/** Whether a layer may write the field: its name is one, and no other layer or the framing of messages depends on it. */
export function isOpenField(value: unknown): boolean {
  return typeof value === 'string' && isFieldName(value) && !proxyOwned.test(plainName(value))
}

/** A name as targets that speak CGI read it: `X_User` is `X-User` to them, and to some of them `X.User`, too. */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z\d]/g, '-')
}

/** Whether a text is one without control characters. */
export function isText(value: unknown): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for.
  return typeof value === 'string' && !/[\x00-\x1f\x7f]/.test(value)
}

/** Schema of the name of a field that a layer writes. */
export const fieldNameSchema: v.GenericSchema<string> = that<string>(
  isOpenField,
  'the name of a field that neither frames nor routes messages, and is not written by proxies',
)

/** Schema of a list of such names. */
export const fieldNamesSchema: v.GenericSchema<readonly string[]> = v.array(fieldNameSchema)
