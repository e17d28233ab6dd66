// nginx with one worker and kept connections to the origin.
import { nginx } from '../lib/nginx.mjs'

const { host } = new URL(process.argv[2])

await nginx(
  (_folder, port) => `
  upstream origin {
    server ${host};
    keepalive 128;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }`,
)
