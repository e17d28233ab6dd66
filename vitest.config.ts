import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** Shared with the long tests: one process a file, two at a time, no second chances. */
export const common: NonNullable<ViteUserConfig['test']> = {
  root: import.meta.dirname,
  environment: 'node',
  pool: 'forks',
  maxWorkers: 2,
  retry: 0,
  dangerouslyIgnoreUnhandledErrors: false,
  teardownTimeout: 5000,
  setupFiles: ['test/kit/end-with-runner.ts'],
  // Packages under test that another one imports run as Node runs them, from dist.
  server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } },
}

export default defineConfig({
  test: {
    ...common,
    include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/*.long.test.ts', 'test/bench/**'],
    testTimeout: 15_000,
    hookTimeout: 15_000,
  },
})
