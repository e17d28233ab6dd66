// HAProxy with one thread in one process and kept connections to the origin.
import { launch } from '../lib/native-server.mjs'

const { host } = new URL(process.argv[2])

await launch(
  'haproxy',
  (_folder, port) => ({
    'haproxy.cfg': `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
frontend front
  bind 127.0.0.1:${port} backlog 1024
  default_backend origin
backend origin
  server origin ${host}
`,
  }),
  (folder) => ['-db', '-q', '-f', `${folder}/haproxy.cfg`],
)
