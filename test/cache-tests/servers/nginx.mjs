// nginx with proxy_cache, set up as the suite's own comparison does it: `nginx.mjs ORIGIN`.
import { nginx } from '../../bench/lib/nginx.mjs'

const [origin] = process.argv.slice(2)

await nginx(
  (folder, port) => `
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=cache:8m max_size=1000m inactive=600m;
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass ${origin};
      proxy_cache cache;
      proxy_cache_revalidate on;
    }
  }`,
)
