// What is asked for: GET / with a body of so many bytes.
export const scenarios = {
  'get-100b': { size: 100 },
  'get-1mb': { size: 1_000_000 },
}

/** The body of a scenario. Text without quotes, so that it can stand in a configuration file. */
export function bodyOf(size) {
  return 'sluice-bench '.repeat(Math.ceil(size / 13)).slice(0, size)
}
