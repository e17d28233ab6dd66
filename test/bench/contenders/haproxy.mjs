// HAProxy with one thread in one process and kept connections to the origin.
import { launch } from '../lib/native-server.mjs'
import { certificate, origin, scenario } from '../lib/told.mjs'

const { host } = new URL(origin)
const { key, cert } = certificate
const alpn = scenario.front === 'h2' ? 'h2' : 'http/1.1'
const tls = (folder) => (cert === undefined ? '' : `ssl crt ${folder}/both.pem alpn ${alpn}`)

await launch(
  'haproxy',
  (folder, port) => ({
    'haproxy.cfg': `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  timeout http-keep-alive 1h
  http-reuse always
frontend front
  bind 127.0.0.1:${port} backlog 1024 ${tls(folder)}
  default_backend origin
backend origin
  server origin ${host}
`,
    ...(cert !== undefined && { 'both.pem': `${cert}${key}` }),
  }),
  (folder) => ['-db', '-q', '-f', `${folder}/haproxy.cfg`],
)
