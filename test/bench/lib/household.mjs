// The servers of a run: the origin, and the contenders in front of it.
import { startServer } from './children.mjs'
import { contenders } from './contenders.mjs'
import { validate } from './validate.mjs'
import { which } from './which.mjs'

const origins = {
  nginx: new URL('../origins/nginx.mjs', import.meta.url),
  node: new URL('../origins/node.mjs', import.meta.url),
}

/** What the origin is here: nginx, or Node in a process of its own where there is no nginx. */
export const originName = which('nginx') === undefined ? 'node' : 'nginx'

/** Starts the origin with a body of `size` bytes. Returns its address. */
export async function startOrigin(size) {
  const { port } = await startServer(origins[originName], [String(size)])
  return `http://127.0.0.1:${port}`
}

/**
 * Starts contenders in front of the origin and looks at what each answers.
 * @param flags for Node
 * @returns those that serve as they should, and why the others are `skipped`
 */
export async function startContenders(names, origin, size, { cores, flags, signal }) {
  const servers = {}
  const skipped = {}
  for (const name of names) {
    let server
    try {
      server = await startServer(contenders[name], [origin, String(size)], { cores, flags })
      await validate(`http://127.0.0.1:${server.port}/`, size)
      servers[name] = server
    } catch (error) {
      await server?.stop()
      signal.throwIfAborted()
      skipped[name] = error.message
    }
  }
  return { servers, skipped }
}
