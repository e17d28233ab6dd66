// What is compared: policies, each as it is made for one run, and who watches the servers.
import * as policies from '@sluice/balance'
import { monitor } from '@sluice/health'

/** By name: `(random, upstream) => Balancer`. */
export const contenders = {
  'round-robin': () => policies.roundRobin(),
  random: (random) => policies.random({ random }),
  'least-requests': (random) => policies.leastRequests({ random }),
  'power-of-two': (random) => policies.powerOfTwo({ random }),
}

/** By name: `(upstream, servers) => Disposable[]`. */
export const watches = {
  none: () => [],
  probes: (upstream, servers) => [
    monitor(
      upstream,
      async ({ url }) => {
        const server = servers.get(url)
        if (server.mode !== 'up') throw new Error(server.mode)
      },
      { interval: '1s' },
    ),
  ],
}
