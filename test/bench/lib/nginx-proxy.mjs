// nginx with one worker and kept connections to the origin. It streams as the others do, both ways, and spools nothing to
// disk; a slow stream goes on as it comes.
import { nginx } from './nginx.mjs'
import { certificate, origin, scenario } from './told.mjs'

const { host } = new URL(origin)
const { front, pause } = scenario
const { key, cert } = certificate
const protocol = { http: '', https: ' ssl', h2: ' ssl http2', websocket: '' }[front]

const tls = cert && 'ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.2 TLSv1.3;'
const upgrade = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;'
const kept = 'proxy_set_header Connection "";'

/** @param directives further ones of the server */
export const nginxProxy = (directives = '') =>
  nginx(
    (_folder, port) => `
  upstream origin {
    server ${host};
    keepalive 128;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen 127.0.0.1:${port}${protocol} backlog=1024;
    ${tls ?? ''}
    ${directives}
    client_max_body_size 0;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      ${front === 'websocket' ? upgrade : kept}
      ${pause > 0 ? 'proxy_buffering off;' : ''}
    }
  }`,
    cert === undefined ? {} : { 'cert.pem': cert, 'key.pem': key },
  )
