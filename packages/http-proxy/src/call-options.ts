import type { Target } from '@sluice/upstream'

/**
 * Where http-proxy sends a request, and what of an instance's options doesn't apply: all that would lead it elsewhere, say who the
 * client is in another way, or send more than was asked for.
 */
export function callOptions({ url }: Target): Readonly<Record<string, unknown>> {
  return {
    target: targetOf(url),
    forward: undefined,
    buffer: undefined,
    method: undefined,
    xfwd: false,
    changeOrigin: false,
    toProxy: true,
    prependPath: false,
    ignorePath: false,
    followRedirects: false,
    secure: true,
    timeout: undefined,
    proxyTimeout: undefined,
    connectTimeout: undefined,
    upgradeTimeout: undefined,
    fetch: undefined,
    fetchOptions: undefined,
  }
}

function targetOf(url: string): Record<string, unknown> {
  if (url.startsWith('unix:'))
    return { protocol: 'http:', host: 'localhost', socketPath: url.slice('unix:'.length) }
  const { protocol, hostname, port, host } = new URL(url)
  const name = hostname.replace(/^\[|\]$/g, '')
  return { protocol, host, hostname: name, port: port || (protocol === 'https:' ? '443' : '80') }
}
