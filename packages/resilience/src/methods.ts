/** Methods that ask for nothing to be changed (RFC 9110 section 9.2.1): they may be sent twice. */
export const safeMethods: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'TRACE']

/** Whether it can be the method of a request. They are case-sensitive (RFC 9110 section 9.1): no client sends 'get'. */
export function isMethod(value: unknown): boolean {
  return typeof value === 'string' && /^[!#$%&'*+.^`|~\dA-Z_-]+$/.test(value)
}
