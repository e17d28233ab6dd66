/** Fields that `node:http2` takes once alone. */
const once =
  /^(access-control-(allow-credentials|max-age|request-method)|age|authorization|content-(encoding|language|length|location|md5|range|type)|date|dnt|etag|expires|from|host|if-(match|modified-since|none-match|range|unmodified-since)|last-modified|location|max-forwards|proxy-authorization|range|referer|retry-after|tk|upgrade-insecure-requests|user-agent|x-content-type-options)$/

/**
 * A field's values as `node:http2` takes them. One that it refuses to repeat becomes one line, which says the same (RFC 9110
 * section 5.3); so does Cookie, whose parts are joined in a way of their own (RFC 9113 section 8.2.3). Any other repeated
 * field stays as many as it was.
 * @param name in lower case
 */
export function http2Values(name: string, values: string | string[]): string | string[] {
  if (typeof values === 'string') return values
  if (name === 'cookie') return values.join('; ')
  return once.test(name) ? values.join(', ') : values
}
