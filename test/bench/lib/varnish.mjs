// Varnish before an origin, with the rules that it comes with.
import { launch } from './native-server.mjs'

/**
 * @param origin URL of the one target
 * @param more arguments
 */
export function varnish(origin, more) {
  const { hostname, port: target } = new URL(origin)
  const rules = `vcl 4.1;\nbackend default { .host = "${hostname}"; .port = "${target}"; }\n`
  return launch(
    'varnishd',
    () => ({ 'default.vcl': rules }),
    (folder, port) => [
      ...['-F', '-j', 'none', '-n', `${folder}/work`, '-a', `127.0.0.1:${port}`],
      ...['-f', `${folder}/default.vcl`, ...more],
    ],
  )
}
