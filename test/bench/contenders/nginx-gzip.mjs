// nginx as a proxy that compresses: what the others compress, at the same level.
import { nginxProxy } from '../lib/nginx-proxy.mjs'

await nginxProxy(`
    gzip on;
    gzip_comp_level 6;
    gzip_min_length 1024;
    gzip_proxied any;
    gzip_types application/json;
    gzip_vary on;
`)
