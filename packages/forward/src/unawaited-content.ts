/**
 * Whether a method has no use for content (RFC 9110 sections 9.3.1, 9.3.2, 9.3.5 and 9.3.7). A target that doesn't look for any takes
 * the chunks for the next request (GHSA-ggv3-7p47-pfv8), so the connection must end with them.
 */
export function isUnawaited(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'DELETE' || method === 'OPTIONS'
}
