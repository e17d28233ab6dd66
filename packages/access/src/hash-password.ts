import { randomBytes } from 'node:crypto'
import { derive, type ScryptCost } from './password-check.js'

/** 32 MB and some 60 ms a try. OWASP's advice for scrypt, among the settings that it holds to be of one strength. */
const cost: ScryptCost = { ln: 15, r: 8, p: 3 }

/**
 * A password as it is to be kept in `users` of `basicAuth`: salted, by scrypt (RFC 7914), in the form of PHC strings. Each call gives another text.
 * @param password not empty
 */
export async function hashPassword(password: string): Promise<string> {
  if (typeof password !== 'string' || password === '')
    throw new TypeError('hashPassword: takes a password, a text that is not empty')
  const salt = randomBytes(16)
  const hash = await derive(password, salt, 32, cost)
  const { ln, r, p } = cost
  return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(hash)}`
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
