import { defineConfig } from 'vitest/config'
import { common, first } from './vitest.config.js'

// Soaks, chaos, servers from outside: two at a time as well, since what they measure is memory and CPU of the process that tells it.
export default defineConfig({
  test: {
    ...common,
    include: ['packages/*/src/**/*.long.test.ts', 'test/**/*.long.test.ts', 'examples/**/*.long.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', 'test/bench/**'],
    testTimeout: 300_000,
    hookTimeout: 60_000,
    passWithNoTests: true,
    sequence: {
      sequencer: first(
        '/compress-memory.long.test.ts',
        '/certificate-names.long.test.ts',
        '/newer-node.long.test.ts',
        '/surfaces.long.test.ts',
      ),
    },
  },
})
