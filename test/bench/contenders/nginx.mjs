// nginx as a proxy.
import { nginxProxy } from '../lib/nginx-proxy.mjs'

await nginxProxy()
