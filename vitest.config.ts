import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { BaseSequencer } from 'vitest/node'

/**
 * Files by how long each took, or by size where nobody knows that yet: as Vitest sorts them. But these are among the longest and the smallest, and
 * would be left for the end, when one worker has nothing to do.
 * @param ends of their paths
 */
export function first(...ends: readonly string[]): typeof BaseSequencer {
  return class extends BaseSequencer {
    override async sort(files: Parameters<BaseSequencer['sort']>[0]): ReturnType<BaseSequencer['sort']> {
      const isFirst = ({ moduleId }: (typeof files)[number]): boolean =>
        ends.some((end) => moduleId.endsWith(end))
      const sorted = await super.sort(files)
      return [...sorted.filter(isFirst), ...sorted.filter((file) => !isFirst(file))]
    }
  }
}

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
    sequence: { sequencer: first('/test/sim/docs.test.ts') },
  },
})
