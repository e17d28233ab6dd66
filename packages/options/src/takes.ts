import * as v from 'valibot'

const typeNames: Record<string, string> = {
  Object: 'an object',
  Array: 'a list',
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  Function: 'a function',
}

/** What an issue says that the option takes: our own schemas say it in their message. */
export function takes(issue: v.BaseIssue<unknown>): string {
  if (issue.type === 'custom' || issue.type === 'check') return issue.message
  if (issue.message.startsWith('Invalid type')) {
    const expected = issue.expected ?? 'another type'
    return typeNames[expected] ?? expected
  }
  return issue.message
}

/** What a schema takes, by what it says of something wrong; `undefined` if it takes that. */
export function takesOf(schema: v.GenericSchema, wrong: unknown): string | undefined {
  const [issue] = v.safeParse(schema, wrong).issues ?? []
  return issue === undefined ? undefined : takes(issue)
}
