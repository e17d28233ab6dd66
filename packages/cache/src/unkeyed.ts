/**
 * Request fields that change what frameworks answer, and that no cache has in its key: one client could choose what all others get
 * ("cache poisoning"). Beside each, what it does.
 */
export const unkeyedFields: readonly string[] = [
  // Absolute URLs in pages, redirects and password mails are made of these in the place of Host.
  'forwarded', // its host= and proto=; RFC 7239
  'x-forwarded-host', // Rails, Django, Symfony, Laravel, Express, Next.js
  'x-forwarded-server', // Apache's name for the proxy; Spring, old Drupal modules
  'x-forwarded-port', // "https://site:1234/" in redirects: a denial of service
  'x-forwarded-proto', // answers a redirect to https, or to http, for ever
  'x-forwarded-protocol', // Django in old set-ups
  'x-forwarded-scheme', // Rack: a redirect of the page to itself
  'x-forwarded-ssl', // Rack, WordPress
  'x-forwarded-prefix', // Spring, Traefik, Swagger pages: a path before every link
  'x-forwarded-path', // Kong, Spring
  'x-forwarded-uri', // Traefik's forward auth: which page was asked for
  'x-forwarded-url',
  'x-forwarded', // the RFC's field under its old name
  'x-forwarded-by',
  'x-host', // Symfony's elder, many hand-made
  'x-http-host-override', // Zend, IIS
  'x-http-host',
  'x-original-host', // IIS ARR, Azure's gateways
  'disguised-host', // Azure's App Service
  'x-proxy-host',
  'x-backend-host',
  'x-forward-host',
  'x-real-host',
  'x-url-scheme', // WSGI and GitLab: the scheme
  'x-scheme', // nginx's ingress: likewise
  'front-end-https', // Microsoft's: likewise
  'x-base-url',
  // Another resource is answered than the one in the key.
  'x-original-url', // Symfony, Zend, IIS: in the place of the path
  'x-rewrite-url', // likewise
  'x-original-uri', // nginx's auth_request and ingress
  'x-override-url', // Drupal
  'x-request-uri',
  'x-envoy-original-path',
  'x-replaced-path', // Traefik's
  'x-http-path-override', // Play
  'x-waws-unencoded-url', // Azure's
  'x-sendfile-type', // Rack, CVE-2025-61780: an empty body and a path for some server ahead
  'x-accel-mapping', // likewise
  // Another method is processed: a GET that answers as an error, or does something.
  'x-http-method-override', // Rails, Spring, Google's clients
  'x-http-method',
  'x-method-override',
  // Other content is answered.
  'proxy', // CGI's HTTP_PROXY: what the target fetches comes through a proxy of the client's ("httpoxy")
  'x-middleware-prefetch', // Next.js: an empty page
  'x-middleware-subrequest', // Next.js, CVE-2025-29927: past its access checks
  'x-middleware-invoke', // Next.js: its inside answers
  'x-middleware-rewrite',
  'x-now-route-matches', // Next.js, CVE-2024-46982: makes a page of one's own cacheable
  'x-matched-path', // Next.js on a host of its own: another page
  'x-invoke-path', // Next.js: likewise
  'x-invoke-query',
  'x-invoke-status', // Next.js: an error page under status 200
  'x-nextjs-data', // Next.js: JSON for a page, without a Vary for it
  'surrogate-capability', // Edge Architecture: the answer is then no page, but its parts
]

/**
 * Tells which fields of a request change what others get: {@link unkeyedFields}, but for those that are part of the key.
 * @param keyed names of request fields in the key, in any case
 * @returns of a name in lower case
 */
export function unkeyed(keyed: readonly string[]): (lower: string) => boolean {
  const names = new Set(unkeyedFields)
  for (const name of keyed) names.delete(name.toLowerCase())
  // Servers that make variables of fields (CGI, WSGI, Rack, PHP) read X_Host as X-Host.
  return (lower) => names.has(lower.replaceAll('_', '-'))
}
