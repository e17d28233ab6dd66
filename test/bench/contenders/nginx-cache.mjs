// nginx with proxy_cache: one worker, kept connections to the origin, the cache on disk, where the kernel holds it in memory.
import { nginx } from '../lib/nginx.mjs'
import { origin } from '../lib/told.mjs'

const { host } = new URL(origin)

await nginx(
  (folder, port) => `
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=cache:64m max_size=256m use_temp_path=off;
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
      proxy_cache cache;
    }
  }`,
)
