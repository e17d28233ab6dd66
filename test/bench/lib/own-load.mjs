import { fileURLToPath } from 'node:url'
import { outputOf } from './children.mjs'

/** Load by load/http.mjs, for where wrk is missing. */
export const ownLoad = generator(new URL('../load/http.mjs', import.meta.url))

/** Load by load/websocket.mjs. */
export const webSocketLoad = generator(new URL('../load/websocket.mjs', import.meta.url))

/** Load by load/slow.mjs. */
export const slowLoad = generator(new URL('../load/slow.mjs', import.meta.url))

/** Load by load/resumed.mjs. */
export const resumedLoad = generator(new URL('../load/resumed.mjs', import.meta.url))

function generator(script) {
  return async (address, scenario, { connections, seconds }) => {
    const args = [fileURLToPath(script), address, JSON.stringify({ ...scenario, connections, seconds })]
    return JSON.parse(await outputOf(process.execPath, args, seconds))
  }
}
