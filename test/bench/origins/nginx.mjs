import { nginx } from '../lib/nginx.mjs'
import { bodyOf } from '../lib/scenarios.mjs'

const size = Number(process.argv[2])
const small = size <= 2048

// A small answer is written in the configuration itself, a large one is a file.
const answer = small ? `return 200 "${bodyOf(size)}";` : 'root .; try_files /body =404;'

await nginx(
  (_folder, port) => `  server { listen 127.0.0.1:${port} backlog=1024; location / { ${answer} } }`,
  small ? {} : { body: bodyOf(size) },
)
