// One piece alone: a balancer around fetch, with no server and no chain.
import { fileURLToPath } from 'node:url'
import { leastRequests } from '@sluice/balance'
import { createUpstream } from '@sluice/upstream'

/** `fetch` over several servers: each call goes to the one with the fewest requests in flight. */
export function balancedFetch(targets) {
  const upstream = createUpstream({ name: 'api', targets })
  const pick = leastRequests()
  return async (path, init) => {
    const target = pick(upstream.available, undefined)
    const lease = upstream.lease(target)
    try {
      return await fetch(new URL(path, target.url), init)
    } finally {
      lease.release()
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const targets = process.argv.slice(2)
  if (targets.length === 0) {
    console.log('usage: node main.js http://127.0.0.1:3000 http://127.0.0.1:3001')
  } else {
    const get = balancedFetch(targets)
    for (let i = 0; i < 4; i++) {
      const response = await get('/')
      console.log(response.status, (await response.text()).trim())
    }
  }
}
