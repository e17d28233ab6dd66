import { defineConfig } from 'vitest/config'
import { common } from './vitest.config.js'

// Soaks, chaos, servers from outside: one file at a time, so that they don't load each other.
export default defineConfig({
  test: {
    ...common,
    include: ['packages/*/src/**/*.long.test.ts', 'test/**/*.long.test.ts', 'examples/**/*.long.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', 'test/bench/**'],
    maxWorkers: 1,
    testTimeout: 300_000,
    hookTimeout: 60_000,
    passWithNoTests: true,
  },
})
